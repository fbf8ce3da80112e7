package cql_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"golang.org/x/sync/errgroup"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/cql"
	"github.com/starling-chat/starling/deploy/servers"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// A keyspace of an earlier version, whose checkpoints name no incarnation, is brought up to date, and what it holds counts.
func TestOldKeyspace(t *testing.T) {
	address := servers.Address(t, "cassandra")
	keyspace := config(t, address, t.Name()).Keyspace
	session, err := gocql.NewCluster(address).CreateSession()
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	for _, statement := range []string{
		`CREATE KEYSPACE ` + keyspace + ` WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1}`,
		`CREATE TABLE ` + keyspace + `.checkpoints (bucket int PRIMARY KEY, sequence bigint, counter bigint, epoch bigint, last_id bigint)`,
		`INSERT INTO ` + keyspace + `.checkpoints (bucket, sequence, counter, epoch, last_id) VALUES (7, 30, 10, 2, 99) USING TIMESTAMP 5`,
	} {
		if err := session.Query(statement).Exec(); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	for range 2 { // the second time nothing is to be done
		s := open(t, address, t.Name())
		at, err := s.Checkpoint(t.Context(), 7)
		if want := (core.Checkpoint{Bucket: 7, Sequence: 30, Counter: 10, Epoch: 2, LastID: 99}); err != nil || at != want {
			t.Errorf("got %+v, %v, want %+v", at, err, want)
		}
		e := &pb.Entry{Incarnation: 1<<63 + 5, Epoch: 1, Counter: 1, LastId: 4}
		if err := s.Apply(t.Context(), []core.Applied{{Bucket: 8, Sequence: 3, Entry: e}}); err != nil {
			t.Fatal(err)
		}
		if at, err := s.Checkpoint(t.Context(), 8); err != nil || at.Incarnation != e.Incarnation || at.LastID != proto.ID(4) {
			t.Errorf("got %+v, %v", at, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Cores that start at once on a cluster that has no keyspace yet all come up, and find the same tables.
func TestOpenedAtOnce(t *testing.T) {
	address := servers.Address(t, "cassandra")
	for round := range 3 {
		place := t.Name() + strconv.Itoa(round)
		cfg := config(t, address, place)
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		stores := make([]*cql.Store, 4)
		var g errgroup.Group
		for i := range stores {
			g.Go(func() (err error) {
				stores[i], err = cql.Open(ctx, cfg)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			t.Error(err)
		}
		for i, s := range stores {
			if s == nil {
				continue
			}
			if err := s.Apply(t.Context(), []core.Applied{{Bucket: i, Sequence: 3, Entry: &pb.Entry{Epoch: 1, Counter: 1, LastId: 4}}}); err != nil {
				t.Errorf("store %d: %v", i, err)
			}
		}
		for i, s := range stores {
			if s == nil {
				continue
			}
			for bucket := range stores {
				if at, err := s.Checkpoint(t.Context(), bucket); err != nil || at.Sequence != 3 {
					t.Errorf("store %d: bucket %d: %+v, %v", i, bucket, at, err)
				}
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		stop()
	}
}
