package relay_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

func TestRequestAcrossTheLeaf(t *testing.T) {
	mesh := relaytest.Start(t, 1)
	core, edge := mesh.CoreBus(t), mesh.EdgeBus(t, 0)
	if _, err := edge.Request(soon(t), relay.RESTSubject("local"), nil); !errors.Is(err, relay.ErrNobody) {
		t.Fatalf("got %v, want ErrNobody", err)
	}
	stop, err := core.Serve(relay.RESTSubject("local"), "api", 2, func(_ context.Context, body []byte) []byte {
		return append([]byte("re: "), body...)
	})
	if err != nil {
		t.Fatal(err)
	}
	relaytest.Until(t, "the edge learns of the server", func() bool {
		_, err := edge.Request(soon(t), relay.RESTSubject("local"), nil)
		return err == nil
	})
	big := strings.Repeat("x", 4<<20)
	answer, err := edge.Request(soon(t), relay.RESTSubject("local"), []byte(big))
	if err != nil || string(answer) != "re: "+big {
		t.Fatalf("got %d bytes, %v", len(answer), err)
	}
	stop()
	relaytest.Until(t, "the edge learns that it is gone", func() bool {
		// A request that passes the leaf before it has learned is never answered.
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		_, err := edge.Request(ctx, relay.RESTSubject("local"), nil)
		return errors.Is(err, relay.ErrNobody)
	})
}

// 64 requests may wait behind two that are being worked on; the 67th is told so.
func TestServeIsBusyBeyondItsBacklog(t *testing.T) {
	mesh := relaytest.Start(t, 0)
	core := mesh.CoreBus(t)
	var running atomic.Int32
	open := make(chan struct{})
	stop, err := core.Serve("rpc.local.slow", "", 2, func(context.Context, []byte) []byte {
		running.Add(1)
		<-open
		return []byte("done")
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	caller := mesh.CoreBus(t)
	results := make(chan error, 80)
	ask := func() {
		_, err := caller.Request(soon(t), "rpc.local.slow", nil)
		results <- err
	}
	go ask()
	go ask()
	relaytest.Until(t, "two are running", func() bool { return running.Load() == 2 })
	for range 64 + 5 {
		go ask()
	}
	for range 5 {
		if err := <-results; !errors.Is(err, relay.ErrBusy) {
			t.Errorf("got %v, want ErrBusy", err)
		}
	}
	close(open)
	for range 66 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

func TestCommandsComeThroughOneDispatcher(t *testing.T) {
	mesh := relaytest.Start(t, 0)
	owner, api := mesh.CoreBus(t), mesh.CoreBus(t)
	stop, err := owner.ServeCommands([]int{1, 2, 900}, func(bucket int, body []byte, reply func([]byte)) {
		go reply(fmt.Appendf(nil, "%d %s", bucket, body))
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, bucket := range []int{1, 2, 900} {
		answer, err := api.Request(soon(t), relay.CommandSubject("local", bucket), []byte("hello"))
		if want := fmt.Sprintf("%d hello", bucket); err != nil || string(answer) != want {
			t.Errorf("got %q, %v, want %q", answer, err, want)
		}
	}
	if _, err := api.Request(soon(t), relay.CommandSubject("local", 3), nil); !errors.Is(err, relay.ErrNobody) {
		t.Errorf("bucket 3: got %v, want ErrNobody", err)
	}
	stop()
	if _, err := api.Request(soon(t), relay.CommandSubject("local", 1), nil); !errors.Is(err, relay.ErrNobody) {
		t.Errorf("after stop: got %v, want ErrNobody", err)
	}
}

// A connection that breaks after the question was sent.
func TestRequestWhoseAnswerIsLost(t *testing.T) {
	mesh := relaytest.Start(t, 0)
	wire := relaytest.NewProxy(t, mesh.Hub.ClientURL())
	asked := make(chan struct{}, 1)
	open := make(chan struct{})
	stop, err := mesh.CoreBus(t).Serve("rpc.local.x", "", 1, func(context.Context, []byte) []byte {
		asked <- struct{}{}
		<-open
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	defer close(open)
	caller := relaytest.Bus(t, wire.URL, "caller")
	done := make(chan error, 1)
	go func() {
		_, err := caller.Request(soon(t), "rpc.local.x", nil)
		done <- err
	}()
	<-asked
	wire.Cut()
	if err := <-done; !errors.Is(err, relay.ErrLost) {
		t.Fatalf("got %v, want ErrLost", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := caller.Request(ctx, "rpc.local.x", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("disconnected: got %v, want the deadline", err)
	}
}

// A peer takes nothing any more, and the connection stands: the bus notices although a write waits for it.
func TestWriteToAFrozenPeer(t *testing.T) {
	mesh := relaytest.Start(t, 0)
	wire := relaytest.NewProxy(t, mesh.Hub.ClientURL())
	caller := relaytest.Bus(t, wire.URL, "caller")
	wire.Freeze()
	body := make([]byte, 1<<20)
	failed := make(chan error, 1)
	go func() {
		for {
			if err := caller.Publish("rpc.local.x", body); err != nil {
				failed <- err
				return
			}
		}
	}()
	select {
	case <-failed:
	case <-time.After(20 * time.Second):
		t.Error("a write waits for ever") // the test's end mends it
	}
	relaytest.Until(t, "it is disconnected", func() bool { return !caller.Connected() })
	wire.Mend()
	relaytest.Until(t, "it is connected again", func() bool { return caller.Publish("rpc.local.x", body) == nil })
}

// An edge that was broken into may not write what only cores and the log write.
func TestLeafMayNotForge(t *testing.T) {
	mesh := relaytest.Start(t, 2)
	core, edge, other := mesh.CoreBus(t), mesh.EdgeBus(t, 0), mesh.EdgeBus(t, 1)
	log := openLog(t, core)
	var forged, honest atomic.Int32
	for _, subject := range []string{
		relay.LiveSubject("local", 5), relay.EphemeralSubject("local", 5), relay.CommandSubject("local", 5),
		relay.DigestSubject("local"), relay.BeatSubject("local"),
	} {
		for _, bus := range []*relay.Bus{core, other} {
			stop, err := bus.Subscribe(subject, func(_ string, body []byte) {
				if string(body) == "forged" {
					forged.Add(1)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
		}
	}
	stop, err := core.Subscribe("rpc.local.ok", func(string, []byte) { honest.Add(1) })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	relaytest.Until(t, "the leaf's honest words arrive", func() bool {
		for _, subject := range []string{
			relay.LogSubject("local", 5), relay.LiveSubject("local", 5), relay.EphemeralSubject("local", 5), relay.CommandSubject("local", 5),
			relay.DigestSubject("local"), relay.BeatSubject("local"), "$JS.local.API.STREAM.DELETE.EV_local_0", "$JS.API.STREAM.DELETE.EV_local_0",
		} {
			if err := edge.Publish(subject, []byte("forged")); err != nil {
				t.Fatal(err)
			}
		}
		if err := edge.Publish("rpc.local.ok", nil); err != nil {
			t.Fatal(err)
		}
		return honest.Load() > 0 // sent after the forged ones
	})
	if n := forged.Load(); n != 0 {
		t.Errorf("%d forged messages arrived", n)
	}
	tails, err := log.Tails(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(tails) != 0 {
		t.Errorf("forged entries are in the log: %v", tails)
	}
}

func TestWrongSecret(t *testing.T) {
	mesh := relaytest.Start(t, 0)
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if _, err := relay.Connect(ctx, relay.Config{URL: mesh.Hub.ClientURL(), Secret: "guess", Name: "mallory", Region: "local"}); err == nil {
		t.Fatal("connected with a wrong secret")
	}
}

// What the hub has acknowledged outlives its process. The hub is this test binary, run once more.
func TestKilledHubKeepsItsLog(t *testing.T) {
	if dir := os.Getenv("RELAY_TEST_HUB"); dir != "" {
		hub, err := relay.StartHub(relay.HubConfig{
			Name: "hub", Region: "local", Dir: dir, ClientAddr: "127.0.0.1:0", LeafAddr: "127.0.0.1:0", Secret: relaytest.Secret,
		})
		if err != nil {
			t.Fatal(err)
		}
		tmp := filepath.Join(dir, "url.tmp")
		if err := os.WriteFile(tmp, []byte(hub.ClientURL()), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(tmp, filepath.Join(dir, "url")); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Minute) // the parent kills us long before
		return
	}
	dir := t.TempDir()
	at := relay.Position{}
	said := 0
	for round := range 4 {
		_ = os.Remove(filepath.Join(dir, "url"))
		hub := exec.Command(os.Args[0], "-test.run=^TestKilledHubKeepsItsLog$")
		hub.Env = append(os.Environ(), "RELAY_TEST_HUB="+dir)
		if err := hub.Start(); err != nil {
			t.Fatal(err)
		}
		kill := func() {
			_ = hub.Process.Kill()
			_ = hub.Wait()
		}
		t.Cleanup(kill)
		var url []byte
		relaytest.Until(t, "the hub runs", func() bool {
			var err error
			url, err = os.ReadFile(filepath.Join(dir, "url"))
			return err == nil
		})
		bus := relaytest.Bus(t, string(url), "core")
		log := openLog(t, bus)
		if got := logged(t, log, 9); len(got) != said {
			t.Fatalf("round %d: got %d texts, want %d", round, len(got), said)
		}
		w := takeOver(t, log, 9)
		if w.Position().Sequence <= at.Sequence || w.Position().Counter <= at.Counter {
			t.Fatalf("round %d: got %+v after %+v", round, w.Position(), at)
		}
		for range 100 {
			mustAppend(t, w, fmt.Sprint(said))
			said++
		}
		at = w.Position()
		kill()
		bus.Close()
	}
}
