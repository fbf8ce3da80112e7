package presence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/memory"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	alice = proto.ID(1001)
	bob   = proto.ID(1002)
	home  = proto.ID(5<<22 | 7<<12) // a guild in bucket 7
	club  = proto.ID(6<<22 | 7<<12)
)

// A town says who is in which guild.
type town struct {
	mu     sync.Mutex
	guilds map[proto.ID][]proto.ID
	down   bool
}

func (w *town) GuildsOf(_ context.Context, user proto.ID) ([]proto.ID, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down {
		return nil, errors.New("down")
	}
	return w.guilds[user], nil
}

type store = memory.Presences // its method of the same name shows through under this one

// A fickle store can be made to fail.
type fickle struct {
	*store
	mu   sync.Mutex
	down bool
}

func (f *fickle) set(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

func (f *fickle) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return errors.New("down")
	}
	return nil
}

func (f *fickle) Report(ctx context.Context, edge string, list []core.PresenceReport, now time.Time) ([]core.PresenceChange, error) {
	if err := f.err(); err != nil {
		return nil, err
	}
	return f.store.Report(ctx, edge, list, now)
}

// A world is a mesh with one server of presence, and somebody who listens to bucket 7.
type world struct {
	t     *testing.T
	edge  *relay.Bus
	town  *town
	store *fickle
	srv   *Server

	mu    sync.Mutex
	heard []string
}

func newWorld(t *testing.T, alter func(*Config)) *world {
	mesh := relaytest.Start(t, 1)
	w := &world{t: t, edge: mesh.EdgeBus(t, 0), store: &fickle{store: memory.NewPresences()},
		town: &town{guilds: map[proto.ID][]proto.ID{alice: {home, club}, bob: {home}}}}
	listener := mesh.CoreBus(t)
	stop, err := listener.Subscribe(relay.EphemeralSubject(relaytest.Region, 7), w.hear)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	cfg := Config{Region: relaytest.Region, Bus: mesh.CoreBus(t), Presences: w.store, Guilds: w.town, LapseEvery: 10 * time.Millisecond}
	if alter != nil {
		alter(&cfg)
	}
	w.srv = New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.srv.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	<-w.srv.Ready()
	return w
}

func (w *world) hear(_ string, body []byte) {
	var e pb.Event
	var p proto.Presence
	if err := gproto.Unmarshal(body, &e); err != nil || e.Type != proto.EventPresenceUpdate || json.Unmarshal(e.Body, &p) != nil ||
		uint64(p.GuildID) != e.Guild || uint64(p.User.ID) != e.User {
		w.t.Errorf("heard %v %s", &e, e.Body)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard = append(w.heard, fmt.Sprintf("%d %d %s %s %v", e.Guild, p.User.ID, p.Status, p.Activities, p.ClientStatus))
}

// expect waits until exactly these were heard since the last time, in any order.
func (w *world) expect(want ...string) {
	w.t.Helper()
	slices.Sort(want)
	var got []string
	relaytest.Until(w.t, fmt.Sprint(want), func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		got = slices.Sorted(slices.Values(w.heard))
		return len(got) >= len(want)
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(got, want) {
		w.t.Errorf("heard %q, want %q", got, want)
	}
	w.heard = nil
}

func (w *world) call(name string, in, out gproto.Message) {
	w.t.Helper()
	body, err := gproto.Marshal(in)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), 15*time.Second)
	defer cancel()
	var ans []byte
	relaytest.Until(w.t, name+" is answered", func() bool {
		ans, err = w.edge.Request(ctx, relay.RPCSubject(relaytest.Region, name), body)
		return !errors.Is(err, relay.ErrNobody) // the leaf learns of it a moment later
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := gproto.Unmarshal(ans, out); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) report(edge string, list ...*pb.PresenceReport) string {
	w.t.Helper()
	var ans pb.PresenceAnswer
	w.call("presence", &pb.PresenceCall{Edge: edge, Reports: list}, &ans)
	return ans.Error
}

func (w *world) accept(edge string, list ...*pb.PresenceReport) {
	w.t.Helper()
	if e := w.report(edge, list...); e != "" {
		w.t.Fatalf("refused: %s", e)
	}
}

func is(user proto.ID, s proto.Status) *pb.PresenceReport {
	return &pb.PresenceReport{User: uint64(user), Status: string(s), Devices: map[string]string{"web": string(s)}}
}

func gone(user proto.ID) *pb.PresenceReport {
	return &pb.PresenceReport{User: uint64(user), Gone: true}
}

// Alice comes, goes idle on another edge, is invisible, and leaves: each of her guilds hears what others may see, once.
func TestChangesAreTold(t *testing.T) {
	w := newWorld(t, nil)
	w.accept("a", is(alice, "online"))
	w.expect(fmt.Sprintf("%d 1001 online [] map[web:online]", home), fmt.Sprintf("%d 1001 online [] map[web:online]", club))
	w.accept("b", is(alice, "dnd"), is(bob, "invisible"))
	w.expect(fmt.Sprintf("%d 1001 dnd [] map[web:dnd]", home), fmt.Sprintf("%d 1001 dnd [] map[web:dnd]", club))
	w.accept("a", gone(alice))
	playing := is(alice, "dnd")
	playing.Activities = []byte(`[{"name":"chess","type":0,"created_at":1}]`)
	w.accept("b", playing)
	w.expect(fmt.Sprintf(`%d 1001 dnd [{"name":"chess","type":0,"created_at":1}] map[web:dnd]`, home),
		fmt.Sprintf(`%d 1001 dnd [{"name":"chess","type":0,"created_at":1}] map[web:dnd]`, club))
	hidden := is(alice, "invisible")
	hidden.Activities = playing.Activities
	w.accept("b", hidden)
	w.expect(fmt.Sprintf("%d 1001 offline [] map[]", home), fmt.Sprintf("%d 1001 offline [] map[]", club))
	w.accept("b", gone(alice), gone(bob)) // nobody sees a difference
	w.accept("a", is(bob, "idle"))
	w.expect(fmt.Sprintf("%d 1002 idle [] map[web:idle]", home))
}

// Questions name those who are there, and nobody who is invisible.
func TestQuestions(t *testing.T) {
	w := newWorld(t, nil)
	w.accept("a", is(alice, "idle"), is(bob, "invisible"))
	var ans pb.PresencesAnswer
	w.call("presences", &pb.PresencesCall{Users: []uint64{uint64(alice), uint64(bob), 3}}, &ans)
	if len(ans.Presences) != 1 || ans.Presences[0].User != uint64(alice) || ans.Presences[0].Status != "idle" || ans.Presences[0].Devices["web"] != "idle" {
		t.Errorf("got %v", &ans)
	}
	ans.Reset()
	w.call("presences", &pb.PresencesCall{Users: make([]uint64, maxUsers+1)}, &ans)
	if ans.Error == "" {
		t.Error("a question of too many users is answered")
	}
}

// What no edge of ours says is left out, and hurts nobody else's report.
func TestReportsAreChecked(t *testing.T) {
	w := newWorld(t, nil)
	broken := is(bob, "dnd")
	broken.Activities, broken.Devices = []byte(`{"name":`), map[string]string{"fridge": "online", "web": "invisible"}
	w.accept("a", is(0, "online"), is(alice, "afk"), is(alice, "offline"), broken)
	w.expect(fmt.Sprintf("%d 1002 dnd [] map[]", home))
	for name, call := range map[string]*pb.PresenceCall{"no edge": {Reports: []*pb.PresenceReport{is(bob, "online")}},
		"too many": {Edge: "a", Reports: make([]*pb.PresenceReport, maxReports+1)}} {
		for i := range call.Reports {
			call.Reports[i] = is(bob, "online")
		}
		var ans pb.PresenceAnswer
		w.call("presence", call, &ans)
		if ans.Error == "" {
			t.Errorf("%s: accepted", name)
		}
	}
}

// An edge dies: its users are offline after the TTL, unless another edge has them.
func TestEdgeDies(t *testing.T) {
	var mu sync.Mutex
	var ahead time.Duration
	w := newWorld(t, func(cfg *Config) {
		cfg.TTL = 10 * time.Second
		cfg.Now = func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return time.Now().Add(ahead)
		}
	})
	w.accept("dies", is(alice, "online"), is(bob, "online"))
	w.expect(fmt.Sprintf("%d 1001 online [] map[web:online]", home), fmt.Sprintf("%d 1001 online [] map[web:online]", club),
		fmt.Sprintf("%d 1002 online [] map[web:online]", home))
	mu.Lock()
	ahead = 8 * time.Second
	mu.Unlock()
	w.accept("lives", is(alice, "idle"))
	mu.Lock()
	ahead = 11 * time.Second
	mu.Unlock()
	w.expect(fmt.Sprintf("%d 1002 offline [] map[]", home), fmt.Sprintf("%d 1001 idle [] map[web:idle]", home), fmt.Sprintf("%d 1001 idle [] map[web:idle]", club))
}

// The directory is away for a moment: what changed meanwhile is told when it is back, as it is then.
func TestDirectoryAway(t *testing.T) {
	w := newWorld(t, nil)
	w.town.mu.Lock()
	w.town.down = true
	w.town.mu.Unlock()
	w.accept("a", is(bob, "online"))
	w.accept("a", is(bob, "idle"))
	w.town.mu.Lock()
	w.town.down = false
	w.town.mu.Unlock()
	w.expect(fmt.Sprintf("%d 1002 idle [] map[web:idle]", home))
}

// The store is away: edges are told so, and nothing is announced.
func TestStoreAway(t *testing.T) {
	w := newWorld(t, nil)
	w.store.set(true)
	if w.report("a", is(alice, "online")) == "" {
		t.Error("accepted")
	}
	w.store.set(false)
	w.accept("a", is(bob, "online"))
	w.expect(fmt.Sprintf("%d 1002 online [] map[web:online]", home))
}
