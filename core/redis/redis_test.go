package redis

import (
	"fmt"
	"log/slog"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/starling-chat/starling/core/storetest"
	"github.com/starling-chat/starling/deploy/servers"
)

func TestMain(m *testing.M) {
	code := servers.Main(m, "redis")
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// open opens a store on a server, in a database that no other package uses, and empties it. A busy machine may be slow: what a short time-out does has tests of its own.
func open(t *testing.T, address string) *Store {
	t.Helper()
	s, err := Open(t.Context(), address+"?read_timeout=10s&db=9", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.client.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestPresences(t *testing.T) {
	address := servers.Address(t, "redis")
	storetest.Presences(t, open(t, address).Presences(), open(t, address).Presences())
}

func TestRegistry(t *testing.T) {
	address := servers.Address(t, "redis")
	storetest.Registry(t, open(t, address).Registry(), open(t, address).Registry())
}

func TestLimiter(t *testing.T) {
	address := servers.Address(t, "redis")
	storetest.Limiter(t, open(t, address).Limiter(), open(t, address).Limiter())
}

func TestCache(t *testing.T) {
	address := servers.Address(t, "redis")
	storetest.Cache(t, open(t, address).Cache(), open(t, address).Cache())
}
