package cql_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"go.uber.org/goleak"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/cql"
	"github.com/starling-chat/starling/core/storetest"
	"github.com/starling-chat/starling/deploy/servers"
)

func TestMain(m *testing.M) {
	code := servers.Main(m, "cassandra")
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func TestHistory(t *testing.T) {
	address := servers.Address(t, "cassandra")
	storetest.History(t, func(t *testing.T, place string) core.History { return open(t, address, place) })
}

// open opens a store in a keyspace named after a place.
func open(t testing.TB, address, place string) *cql.Store {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := cql.Open(ctx, config(t, address, place))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func config(t testing.TB, address, place string) cql.Config {
	h := fnv.New64a()
	h.Write([]byte(place))
	keyspace := fmt.Sprintf("test_%x", h.Sum64())
	if _, known := keyspaces[keyspace]; !known {
		keyspaces[keyspace] = true
		t.Cleanup(func() { drop(t, address, keyspace) })
	}
	return cql.Config{Hosts: []string{address}, Keyspace: keyspace, Replication: 1, Log: slog.New(slog.DiscardHandler)}
}

var keyspaces = map[string]bool{} // for which a drop is due; tests of this package run one after the other

func drop(t testing.TB, address, keyspace string) {
	delete(keyspaces, keyspace)
	cluster := gocql.NewCluster(address)
	cluster.Timeout = time.Minute // of a machine that does much else
	s, err := cluster.CreateSession()
	if err != nil {
		t.Errorf("drop %s: %v", keyspace, err)
		return
	}
	defer s.Close()
	if err := s.Query("DROP KEYSPACE IF EXISTS " + keyspace).Exec(); err != nil {
		t.Errorf("drop %s: %v", keyspace, err)
	}
}
