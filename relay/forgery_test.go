package relay_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

// Eve has broken into edge-6: she has its certificate and speaks NATS with a client of her own.
type eve struct {
	nc *nats.Conn

	mu      sync.Mutex
	refused []string
}

func startEve(t *testing.T, s *secure) *eve {
	t.Helper()
	files := s.authority.Issue(t, "edge", "edge-6", time.Hour)
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	e := &eve{}
	e.nc, err = nats.Connect(s.leaf.ClientURL(), nats.TLSHandshakeFirst(), nats.CustomInboxPrefix("_EDGE.edge-6"),
		nats.Secure(&tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{pair}}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrPermissionViolation) {
				e.mu.Lock()
				defer e.mu.Unlock()
				e.refused = append(e.refused, strings.ToLower(err.Error()))
			}
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.nc.Close)
	return e
}

// isRefused waits until the server has refused a subject.
func (e *eve) isRefused(t *testing.T, what, subject string) {
	t.Helper()
	relaytest.Until(t, fmt.Sprintf("%s %s is refused", what, subject), func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, r := range e.refused {
			if strings.Contains(r, what) && strings.Contains(r, `"`+strings.ToLower(subject)+`"`) {
				return true
			}
		}
		return false
	})
}

func TestEdgeForgesNothing(t *testing.T) {
	s := startSecure(t)
	core := s.bus(t, relay.Config{Name: "core-0"})
	log := openLog(t, core)
	alice := takeOver(t, log, 5)
	mustAppend(t, alice, "0")
	honest := s.bus(t, relay.Config{Name: "edge-1", Edge: true})
	e := startEve(t, s)

	var forged atomic.Int32
	note := func(_ string, body []byte) {
		if string(body) == "forged" {
			forged.Add(1)
		}
	}
	for _, subject := range []string{"live.>", "ev.>", "eph.>", "dig.>", "beat.>", "cmd.>", "jrnl.edge-1", "user.>", "tomb.>", "$KV.>"} {
		stop, err := core.Subscribe(subject, note)
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
	}
	for _, subject := range []string{"live.local.5", "dig.local", "beat.local", "user.edge-1"} {
		stop, err := honest.Subscribe(subject, note)
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
	}
	for _, subject := range []string{
		"ev.local.5", "live.local.5", "eph.local.5", "dig.local", "beat.local", "cmd.local.5", "jrnl.edge-1", "user.edge-1", "tomb.local.edge-1",
		"_INBOX.x", "_EDGE.edge-1.x", "$KV.OWNERS_local.5", "$SYS.REQ.SERVER.PING",
		"$JS.API.STREAM.DELETE.EV_local_0", "$JS.API.STREAM.CREATE.MINE", "$JS.API.INFO",
		"$JS.local.API.STREAM.DELETE.EV_local_0", "$JS.local.API.STREAM.PURGE.EV_local_0", "$JS.local.API.STREAM.UPDATE.EV_local_0",
		"$JS.local.API.STREAM.CREATE.MINE", "$JS.local.API.STREAM.MSG.DELETE.EV_local_0", "$JS.local.API.STREAM.LEADER.STEPDOWN.EV_local_0",
		"$JS.local.API.STREAM.LIST", "$JS.local.API.CONSUMER.CREATE.EV_local_0", "$JS.local.API.CONSUMER.DURABLE.CREATE.EV_local_0.mine",
		"$JS.local.API.DIRECT.GET.KV_OWNERS_local", "$JS.local.API.STREAM.INFO.KV_OWNERS_local", "$JS.local.API.SERVER.REMOVE",
		"$JS.local.API.META.LEADER.STEPDOWN",
	} {
		if err := e.nc.PublishRequest(subject, "_EDGE.edge-6.answer", []byte("forged")); err != nil {
			t.Fatal(err)
		}
		e.isRefused(t, "publish", subject)
	}
	for _, subject := range []string{
		"cmd.>", "cmd.local.5", "api.>", "api.local", "rpc.>", "rpc.local.identify", "ev.>", "_INBOX.>", "_EDGE.>", "_EDGE.edge-1.>",
		"user.>", "user.edge-1", "jrnl.>", "tomb.>", "$KV.>", "$SYS.>", "$JS.>", ">", "*.local", "live.*.*",
	} {
		if _, err := e.nc.Subscribe(subject, func(*nats.Msg) {}); err != nil {
			t.Fatal(err)
		}
		e.isRefused(t, "subscription", subject)
	}
	// Nor is she let in where cores and leaves are.
	for _, url := range []string{s.hub.ClientURL(), s.hub.LeafURL()} {
		files := s.authority.Issue(t, "edge", "edge-6", time.Hour)
		if line, err := speak(t, url, &files); err == nil {
			t.Errorf("%s says %q to an edge", url, line)
		}
	}
	// What is hers works all the same, and comes after all that she tried.
	var journal, asked atomic.Int32
	for subject, n := range map[string]*atomic.Int32{"jrnl.edge-6": &journal, "rpc.local.identify": &asked} {
		stop, err := core.Subscribe(subject, func(string, []byte) { n.Add(1) })
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
	}
	relaytest.Until(t, "her own journal and question arrive", func() bool {
		_ = e.nc.Publish("jrnl.edge-6", nil)
		_ = e.nc.Publish("rpc.local.identify", nil)
		return journal.Load() > 0 && asked.Load() > 0
	})
	if n := forged.Load(); n != 0 {
		t.Errorf("%d forged messages arrived", n)
	}
	mustAppend(t, alice, "1")
	if got := fmt.Sprint(logged(t, log, 5)); got != "[0 1]" {
		t.Errorf("log: got %s, want [0 1]", got)
	}
}

// A core asks an edge: the edge may answer that question, once.
func TestEdgeAnswersWhoAskedIt(t *testing.T) {
	s := startSecure(t)
	core, edge := s.bus(t, relay.Config{Name: "core-0"}), s.bus(t, relay.Config{Name: "edge-1", Edge: true})
	stop, err := edge.Serve("user.edge-1", "", 1, func(context.Context, []byte) []byte { return []byte("yes") })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if got := relaytest.Request(t, core, "user.edge-1", nil); string(got) != "yes" {
		t.Fatalf("got %q", got)
	}
}
