package server

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/deploy/servers"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

func TestMain(m *testing.M) {
	code := servers.Main(m, "postgres", "cassandra", "redis")
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func start(t *testing.T, m *relaytest.Mesh, dir string) (s *Server, stop func()) {
	t.Helper()
	return startWith(t, m, Config{DataDir: dir})
}

// startWith starts a core of which cfg says where it keeps things.
func startWith(t *testing.T, m *relaytest.Mesh, cfg Config) (s *Server, stop func()) {
	t.Helper()
	cfg.Name, cfg.Region, cfg.HubURL, cfg.Secret, cfg.AccessLife = "core-0", relaytest.Region, m.Hub.ClientURL(), relaytest.Secret, time.Hour
	s = New(cfg)
	if s.Check() == nil {
		t.Error("Check is content before Run")
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	select {
	case <-s.Ready():
	case err := <-ended:
		t.Fatalf("ended before it was ready: %v", err)
	case <-time.After(30 * time.Second):
		t.Fatal("not ready in 30 s")
	}
	return s, func() {
		t.Helper()
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("not stopped in 30 s")
		}
	}
}

func call(t *testing.T, bus *relay.Bus, in *pb.RestCall) *pb.RestAnswer {
	t.Helper()
	raw, err := gproto.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	out := &pb.RestAnswer{}
	if err := gproto.Unmarshal(relaytest.Request(t, bus, relay.RESTSubject(relaytest.Region), raw), out); err != nil {
		t.Fatal(err)
	}
	return out
}

// Alice registers; the core is stopped and started on the same data; her token and her password still count.
func TestAccountsSurviveARestart(t *testing.T) {
	m := relaytest.Start(t, 1)
	edge, dir := m.EdgeBus(t, 0), t.TempDir()
	s, stop := start(t, m, dir)
	if err := s.Check(); err != nil {
		t.Errorf("Check: %v", err)
	}
	out := call(t, edge, &pb.RestCall{Method: "POST", Target: "/auth/register", Body: []byte(`{"username":"alice","password":"alice password"}`)})
	var alice struct {
		Token     string
		ExpiresIn int `json:"expires_in"`
	}
	if err := json.Unmarshal(out.Body, &alice); err != nil || out.Status != 201 || alice.ExpiresIn != 3600 {
		t.Fatalf("register: got %d %s, %v", out.Status, out.Body, err)
	}
	stop()
	_, stop = start(t, m, dir)
	defer stop()
	out = call(t, edge, &pb.RestCall{Method: "GET", Target: "/v1/users/@me",
		Headers: []*pb.Header{{Name: "Authorization", Value: "Bearer " + alice.Token}}})
	if out.Status != 200 {
		t.Errorf("her token after the restart: got %d %s", out.Status, out.Body)
	}
	out = call(t, edge, &pb.RestCall{Method: "POST", Target: "/auth/login", Body: []byte(`{"login":"alice","password":"alice password"}`)})
	if out.Status != 200 {
		t.Errorf("her password after the restart: got %d %s", out.Status, out.Body)
	}
}

func TestRunEndsWithoutAHub(t *testing.T) {
	s := New(Config{Name: "core-0", Region: relaytest.Region, DataDir: t.TempDir(), HubURL: "nats://127.0.0.1:1", Secret: "x"})
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if err := s.Run(ctx); err != nil {
		t.Errorf("stopped while it waited for a hub: got %v", err)
	}
	if s.Check() == nil {
		t.Error("Check is content without a hub")
	}
}
