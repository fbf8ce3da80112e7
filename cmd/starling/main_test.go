package main

import (
	"context"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/goleak"
)

// asMain makes the test binary be the program: role processes of starling dev are its own executable.
const asMain = "STARLING_TEST_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/cockroachdb/swiss.init.0.func1"),
		goleak.IgnoreTopFunction("time.Sleep"))
}

func noEnv(string) string { return "" }

// text collects output that other goroutines write.
type text struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *text) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *text) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(30 * time.Second); !ok(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited 30 s until %s", what)
		}
	}
}

func TestEveryCommandTeachesByExample(t *testing.T) {
	root := newRoot(&app{getenv: noEnv, stdout: &text{}, stderr: &text{}})
	var names []string
	drain, _, _ := root.Find([]string{"edge", "drain"})
	for _, c := range append([]*cobra.Command{drain, root}, root.Commands()...) {
		names = append(names, c.Name())
		if c.Short == "" || c.Long == "" || !strings.Contains(c.Example, "starling") {
			t.Errorf("%s: want a short text, a long one, and examples", c.Name())
		}
		var out text
		if err := run(context.Background(), append(strings.Fields(c.CommandPath())[1:], "--help"), noEnv, &out, &out); err != nil {
			t.Errorf("%s --help: %v", c.Name(), err)
		}
		if !strings.Contains(out.String(), "Examples:") {
			t.Errorf("%s --help shows no examples:\n%s", c.Name(), out.String())
		}
	}
	if got, want := strings.Join(names, " "), "drain starling admin chaos chat core dev edge hasher hub leaf migrate seed version"; got != want {
		t.Errorf("commands: got %s, want %s", got, want)
	}
}

func TestMistakesOfARoleAreToldAtOnce(t *testing.T) {
	env := map[string]string{"STARLING_EDGE_DRAIN_WINDOW": "soon", "STARLING_DEV_EDGES": "0", testSwitches: "on"}
	for _, c := range []struct {
		args string
		want []string
	}{
		{"edge --http 0.0.0.0:80 --admin 10.0.0.1:1 --leaf http://x --tls :443", []string{"http (from --http)", "admin (from --admin)",
			"leaf (from --leaf)", "tls-cert: must be set", "drain-window (from STARLING_EDGE_DRAIN_WINDOW)", "secret-file: must be set"}},
		{"dev --leaves 99 --http= --restart --log loud", []string{"edges (from STARLING_DEV_EDGES)", "leaves (from --leaves)", "http (from --http): must be set",
			"restart (from --restart): goes with --processes", "log (from --log)"}},
		{"edge drain edge-1 --window 2h", []string{"--window: want 0s to 1h"}},
		{"edge drain edge-1 --undo --window 1s", []string{"--undo takes no --window"}},
		{"edge drain", []string{"accepts 1 arg"}},
		{"edge drain edge-1 --data /nonexistent", []string{"edge drain: no mesh runs on /nonexistent"}},
		{"hub --nats nowhere --sync-always=perhaps", []string{"nats (from --nats)", "sync-always (from --sync-always)", "secret-file"}},
		{"leaf --hub=x --secret-file /nonexistent", []string{"hub (from --hub)", "secret-file (from --secret-file)"}},
		{"core --hub nats://10.0.0.1:4222", []string{"hub (from --hub): \"10.0.0.1:4222\": want a loopback address such as 127.0.0.1: STARLING_TEST_SWITCHES"}},
		{"core --redis http://x/0", []string{"redis (from --redis): want redis://"}},
		{"dev --redis redis://alice:secret@127.0.0.1:6379/0", []string{"redis (from --redis): other processes"}},
		{"dev --redis redis://127.0.0.1:6379/0?passfile=/nonexistent", []string{"redis (from --redis): redis: passfile"}},
		{"dev --redis redis://127.0.0.1:6379/x", []string{"redis (from --redis): redis: invalid"}},
		{"core --access-life 1s --rate-limits 7", []string{"access-life (from --access-life)", "rate-limits (from --rate-limits)"}},
		{"seed --users -1 --channels 0 --url ftp://x --ca /nonexistent", []string{"users (from", "channels (from", "url (from", "ca (from"}},
	} {
		err := run(context.Background(), strings.Fields(c.args), func(k string) string { return env[k] }, &text{}, &text{})
		if err == nil {
			t.Errorf("%s: got no mistake", c.args)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the mistakes do not name %q:\n%v", c.args, want, err)
			}
		}
	}
}

func TestVersion(t *testing.T) {
	var out text
	if err := run(context.Background(), []string{"version"}, noEnv, &out, &out); err != nil || !strings.HasPrefix(out.String(), "starling ") {
		t.Errorf("got %q, %v, want the version", out.String(), err)
	}
}

func TestTakenPortNamesFlagAndPort(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	addr := ln.Addr().String()
	err = run(context.Background(), []string{"dev", "--edges", "1", "--http", addr, "--tls", "", "--admin", "127.0.0.1:0", "--data", t.TempDir()},
		noEnv, &text{}, &text{})
	_, port, _ := net.SplitHostPort(addr)
	if err == nil || !strings.Contains(err.Error(), "--http") || !strings.Contains(err.Error(), "port "+port) {
		t.Errorf("got %v, want flag --http and port %s named", err, port)
	}
}
