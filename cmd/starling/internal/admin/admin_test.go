package admin_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/starling-chat/starling/cmd/starling/internal/admin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPages(t *testing.T) {
	s, err := admin.Listen("127.0.0.1:0", admin.Probes{Role: "edge", Name: "edge-1",
		Ready: func() error { return errors.New("no core answers") }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	client := &http.Client{Transport: &http.Transport{}}
	defer func() {
		client.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	for _, c := range []struct {
		path   string
		status int
		text   string
	}{
		{"/", 200, "edge edge-1"},
		{"/healthz", 200, "ok"},
		{"/readyz", 503, "no core answers"},
		{"/debug/check", 200, "ok"},
		{"/metrics", 200, "go_goroutines"},
		{"/debug/pprof/", 200, "goroutine"},
		{"/debug/pprof/cmdline", 200, ""},
		{"/nothing", 404, ""},
	} {
		resp, err := client.Get("http://" + s.Addr() + c.path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != c.status || !strings.Contains(string(body), c.text) {
			t.Errorf("%s: got %d %.100q, want %d with %q", c.path, resp.StatusCode, body, c.status, c.text)
		}
	}
}

func TestLoopbackOnly(t *testing.T) {
	if s, err := admin.Listen("0.0.0.0:0", admin.Probes{}); err == nil {
		t.Errorf("listens on %s, want a refusal", s.Addr())
	}
}
