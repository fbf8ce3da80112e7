package seed_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/starling-chat/starling/cmd/starling/internal/seed"
)

// town answers like the API and notes what was asked. Every seventh call meets a limit first.
type town struct {
	mu    sync.Mutex
	calls map[string]int
	count int
	ids   int
	under atomic.Int32
	most  atomic.Int32
}

func (tw *town) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	tw.most.Store(max(tw.most.Load(), tw.under.Add(1)))
	defer tw.under.Add(-1)
	tw.mu.Lock()
	defer tw.mu.Unlock()
	if tw.count++; tw.count%7 == 0 {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprint(w, `{"message":"You are being rate limited.","retry_after":0.001,"global":false}`)
		return
	}
	tw.ids++
	path := r.URL.Path
	switch {
	case strings.HasPrefix(path, "/api/v10/auth/"):
		fmt.Fprintf(w, `{"user":{"id":"%d"},"token":"t%d","refresh_token":"r%d","expires_in":1}`, tw.ids, tw.ids, tw.ids)
	case strings.HasSuffix(path, "/invites"):
		fmt.Fprint(w, `{"code":"tea"}`)
	case r.Method == "PUT":
		path = "PUT member"
		w.WriteHeader(http.StatusCreated)
	default:
		fmt.Fprintf(w, `{"id":"%d","token":"b%d"}`, tw.ids, tw.ids)
	}
	if r.Header.Get("Authorization") == "" && !strings.HasPrefix(path, "/api/v10/auth/") {
		path = "without token " + path
	}
	tw.calls[path]++
}

func TestMakesWhatIsAskedForAndWaitsWhenTold(t *testing.T) {
	tw := &town{calls: map[string]int{}}
	srv := httptest.NewServer(tw)
	defer srv.Close()
	var steps atomic.Int32
	cfg := seed.Config{URL: srv.URL, Users: 30, Bots: 4, Channels: 3, Guild: "Tea room", SessionsPerUser: 2, HTTP: srv.Client(),
		Step: func() { steps.Add(1) }}
	r, err := seed.Run(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.ChannelIDs) != 3 || len(r.Users) != 30 || len(r.Bots) != 4 {
		t.Errorf("got %d channels, %d users, %d bots, want 3, 30, 4", len(r.ChannelIDs), len(r.Users), len(r.Bots))
	}
	for _, u := range append(r.Users, r.Owner) {
		if u.ID == "" || u.Token == "" || u.RefreshToken == "" || u.Username == "" {
			t.Errorf("got %+v, want every field", u)
		}
	}
	if n := len(r.Users[0].Sessions); n != 1 {
		t.Errorf("got %d sessions beside the first, want 1", n)
	}
	want := map[string]int{"/api/v10/auth/register": 31, "/api/v10/auth/login": 30, "/api/v10/guilds": 1, "/api/v10/invites/tea": 30,
		"/api/v10/applications": 4, "PUT member": 4}
	for path, n := range want {
		if tw.calls[path] != n {
			t.Errorf("%s: got %d calls, want %d", path, tw.calls[path], n)
		}
	}
	if got := int(steps.Load()); got != cfg.Steps() {
		t.Errorf("got %d steps, want the %d foretold", got, cfg.Steps())
	}
	if most := tw.most.Load(); most > 8 {
		t.Errorf("got %d calls at once, want at most 8", most)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"guild_id", "channel_ids", "owner", "users", "bots", "refresh_token"} {
		if !strings.Contains(string(text), `"`+key+`"`) {
			t.Errorf("the object has no %s", key)
		}
	}
}

func TestRefusalIsTold(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"message":"Missing Access","code":50001}`)
	}))
	defer srv.Close()
	_, err := seed.Run(context.Background(), seed.Config{URL: srv.URL, Channels: 1, Guild: "x", SessionsPerUser: 1, HTTP: srv.Client()})
	if err == nil || !strings.Contains(err.Error(), "50001") || !strings.Contains(err.Error(), "owner") {
		t.Errorf("got %v, want who and why", err)
	}
}

func TestPlainProgress(t *testing.T) {
	var b strings.Builder
	step, done := seed.Progress(&b, 20, "seeding")
	for range 20 {
		step()
	}
	done()
	if got := strings.Count(b.String(), "\n"); got != 10 {
		t.Errorf("got %d lines, want 10:\n%s", got, b.String())
	}
}
