package loadtest

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/loadtest/mesh"
	"github.com/starling-chat/starling/proto"
)

// Each role is a process of its own. Core, hub and both leaves are killed -9 in turn and come back: Ben, whose edge lives on, gets
// every message that was answered, once and in order. Then the other edge is killed: he does not notice.
func TestKillRoles(t *testing.T) {
	m := own(t, mesh.Options{Processes: true, Args: []string{"--restart"}})
	w := newTown(t, m)
	_, ann := w.bot("ann", true)
	benBot, _ := w.bot("ben", true)
	ben := w.open(1, benBot.Token, client.Options{}, nil)
	ctx := within(t, 3*time.Minute)
	var sent []proto.ID
	say := func(r *client.REST, n int) {
		for range n {
			text := fmt.Sprint("m", len(sent))
			for { // a send that failed is sent anew; with the nonce enforced there is one of it
				a, err := r.Raw(ctx, "POST", "/channels/"+w.general.String()+"/messages",
					map[string]any{"content": text, "nonce": text, "enforce_nonce": true})
				if err == nil && a.Status == 200 {
					var msg proto.Message
					must(t, jsonInto(a.Body, &msg))
					sent = append(sent, msg.ID)
					break
				}
				if err == nil && a.Status < 500 {
					t.Fatalf("%s: %d %s", text, a.Status, a.Body)
				}
				await(ctx, 50*time.Millisecond)
				must(t, ctx.Err())
			}
		}
	}
	say(ann, 5)
	for _, victim := range []struct {
		role string
		i    int
	}{{"core", 0}, {"hub", 0}, {"leaf", 0}, {"leaf", 1}, {"edge", 0}} {
		at := ann
		if victim.role == "edge" {
			at = ann.At(m.HTTP(1))
		}
		began := time.Now()
		say(at, 3)
		calm := time.Since(began)
		began = time.Now()
		must(t, m.KillRole(victim.role, victim.i))
		say(at, 5)
		last := proto.Message{ID: sent[len(sent)-1]}
		e, err := ben.Await(within(t, time.Minute), 0, says(last))
		if err != nil {
			t.Fatalf("%s %d killed: ben did not get message %d: %v", victim.role, victim.i, len(sent)-1, err)
		}
		t.Logf("%s %d: three sends before took %v; killed, sends and delivery again after %v", victim.role, victim.i,
			calm.Round(time.Millisecond), e.At.Sub(began).Round(time.Millisecond))
	}
	var got []proto.ID
	for _, e := range ben.Since(0) {
		var msg proto.Message
		if e.T == "MESSAGE_CREATE" && e.Into(&msg) == nil {
			got = append(got, msg.ID)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(sent) {
		t.Errorf("ben got %d messages\n%v\nwant %d\n%v", len(got), got, len(sent), sent)
	}
	// The roles' own tables agree.
	roles := take[[]mesh.Role](t)(m.Roles())
	if len(roles) != 6 {
		t.Errorf("mesh.json names %d roles, want core, hub, two leaves, two edges", len(roles))
	}
	began := time.Now()
	must(t, m.Ready(within(t, time.Minute)))
	t.Logf("edge 0 ready again after %v", time.Since(began).Round(time.Millisecond))
	for _, r := range roles {
		resp, err := http.Get("http://" + r.Admin + "/debug/check")
		must(t, err)
		body := take[[]byte](t)(io.ReadAll(resp.Body))
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: /debug/check: %s: %s", r.Name, resp.Status, body)
		}
	}
}
