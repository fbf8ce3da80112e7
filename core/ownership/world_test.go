package ownership_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/bucket"
	"github.com/starling-chat/starling/core/dispatch"
	"github.com/starling-chat/starling/core/ownership"
	"github.com/starling-chat/starling/core/pebble"
	"github.com/starling-chat/starling/core/sqlstore"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

// A world is a hub, stores that all cores share, and somebody who sends commands.
type world struct {
	t     *testing.T
	mesh  hubs
	dir   *gated
	hist  *pebble.Store
	front *dispatch.Dispatcher
}

// A gated directory is a real one; who asks for a bucket's checkpoint waits in gate first, whatever becomes of its context.
type gated struct {
	*sqlstore.Store
	gate atomic.Pointer[func(bucket int)]
}

func (g *gated) Checkpoint(ctx context.Context, bucket int) (core.Checkpoint, error) {
	if gate := g.gate.Load(); gate != nil {
		(*gate)(bucket)
	}
	return g.Store.Checkpoint(ctx, bucket)
}

// hubs are what cores connect to.
type hubs interface {
	CoreBus(testing.TB) *relay.Bus
}

func newWorld(t *testing.T) *world { return newWorldOn(t, relaytest.Start(t, 0)) }

func newWorldOn(t *testing.T, mesh hubs) *world {
	t.Helper()
	w := &world{t: t, mesh: mesh}
	folder := t.TempDir()
	dir, err := sqlstore.OpenSQLite(t.Context(), filepath.Join(folder, "directory.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	w.dir = &gated{Store: dir}
	if w.hist, err = pebble.Open(filepath.Join(folder, "history")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.hist.Close() })
	w.front = dispatch.New(w.mesh.CoreBus(t), slog.New(slog.DiscardHandler))
	return w
}

// A node is one core without its API.
type node struct {
	*bucket.Owner
	claims *ownership.Claims
	bus    *relay.Bus
	stop   func()
}

// start starts a core and waits until it is ready; it stops with the test at the latest.
func (w *world) start(name string) *node {
	w.t.Helper()
	return w.launch(name)[0]
}

// launch starts cores at the same time.
func (w *world) launch(names ...string) []*node {
	w.t.Helper()
	var nodes []*node
	for _, name := range names {
		nodes = append(nodes, w.begin(name))
	}
	for i, n := range nodes {
		select {
		case <-n.Ready():
		case <-time.After(30 * time.Second):
			w.t.Fatalf("core %s is not ready", names[i])
		}
	}
	return nodes
}

func (w *world) begin(name string) *node {
	w.t.Helper()
	bus := w.mesh.CoreBus(w.t)
	ctx, cancel := context.WithCancel(context.Background())
	log, err := relay.OpenLog(w.t.Context(), bus, 1)
	if err != nil {
		w.t.Fatal(err)
	}
	n := &node{bus: bus, claims: ownership.New(ownership.Config{Name: name, Region: relaytest.Region, Bus: bus, Log: slog.New(slog.NewTextHandler(w.t.Output(), nil)).With("core", name)})}
	n.Owner = bucket.New(bucket.Config{Name: name, Region: relaytest.Region, Log: log, Bus: bus, Directory: w.dir, History: w.hist, Claims: n.claims})
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("core %s: %v", name, err)
		}
	})
	w.t.Cleanup(n.stop)
	return n
}

// owned counts the buckets that a core serves.
func (n *node) owned() (count int) {
	all, _ := n.Infos(context.Background())
	for _, i := range all {
		if i.Phase != "foreign" {
			count++
		}
	}
	return count
}

// balanced waits until the cores share all buckets, each with at least a part of its fair share.
func (w *world) balanced(nodes ...*node) {
	w.t.Helper()
	until(w.t, "shared buckets", func() bool {
		sum := 0
		for _, n := range nodes {
			has := n.owned()
			if has < proto.Buckets/len(nodes)*3/4 {
				return false
			}
			sum += has
		}
		return sum == proto.Buckets
	})
}

// Writers give birth to people, who are of any bucket, until stopped.
type writers struct {
	w       *world
	stop    context.CancelFunc
	wg      sync.WaitGroup
	count   atomic.Int64
	slowest atomic.Int64 // nanoseconds, since the last call of worst
	mu      sync.Mutex
	born    map[proto.ID]string
}

func (w *world) write(at int) *writers {
	ctx, cancel := context.WithCancel(context.Background())
	s := &writers{w: w, stop: cancel, born: map[proto.ID]string{}}
	for k := range at {
		s.wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				s.one(fmt.Sprintf("person-%d-%d", k, i))
			}
		})
	}
	w.t.Cleanup(func() { cancel(); s.wg.Wait() })
	return s
}

func (s *writers) one(name string) {
	id := make([]byte, 16)
	rand.Read(id)
	s.birth(id, name)
}

// birth gives birth to one person by a command of an id, which says the bucket.
func (s *writers) birth(id []byte, name string) {
	if err := s.w.dir.Reserve(context.Background(), name, id, "$argon2id$"+name, time.Now()); err != nil {
		s.w.t.Errorf("%s: reserve: %v", name, err)
		return
	}
	body, err := json.Marshal(core.Account{User: proto.User{Username: name}})
	if err != nil {
		s.w.t.Error(err)
		return
	}
	begun := time.Now()
	res, err := s.w.front.Do(context.Background(), &pb.Command{Id: id, Kind: core.KindUserCreate, Body: body, Bucket: uint32(core.BirthBucket(id))})
	took := int64(time.Since(begun))
	for old := s.slowest.Load(); took > old && !s.slowest.CompareAndSwap(old, took); old = s.slowest.Load() {
	}
	if err != nil {
		s.w.t.Errorf("%s: %v", name, err)
		return
	}
	var u proto.SelfUser
	if err := json.Unmarshal(res.Body, &u); err != nil {
		s.w.t.Errorf("%s: %v", name, err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if was, twice := s.born[u.ID]; twice {
		s.w.t.Errorf("id %d is of %s and of %s", u.ID, was, name)
	}
	s.born[u.ID] = name
	s.count.Add(1)
}

// worst is the longest wait of an answer since it was asked last.
func (s *writers) worst() time.Duration {
	return time.Duration(s.slowest.Swap(0)).Round(time.Millisecond)
}

// more waits for some more births.
func (s *writers) more(n int64) {
	s.w.t.Helper()
	enough := s.count.Load() + n
	until(s.w.t, "births", func() bool { return s.count.Load() >= enough || s.w.t.Failed() })
}

// check stops the writers and looks whether everybody who was told to exist does, once.
func (s *writers) check() {
	s.w.t.Helper()
	s.stop()
	s.wg.Wait()
	for id, name := range s.born {
		u, err := s.w.dir.User(context.Background(), id)
		if err != nil || u.Username != name {
			s.w.t.Errorf("%s, %d: got %q, %v", name, id, u.Username, err)
		}
	}
	s.w.t.Logf("%d born", len(s.born))
}

// until waits for what takes some hundred moves, on a machine that does other things too.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(90 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}
