package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/starling-chat/starling/deploy/servers"
	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/loadtest/mesh"
	"github.com/starling-chat/starling/proto"
)

const (
	liveLimit = 2 * time.Minute  // until all clients are live at first
	healLimit = 90 * time.Second // for what is under way when the plan is over
	pageLimit = 3 * time.Minute  // for all pages of history
	clientsGC = 400              // GOGC: clients are to take less of the processors that the mesh has to share with them
)

// A lab is one run. One goroutine drives it.
type lab struct {
	cfg    Config
	rnd    *rand.Rand
	mesh   *mesh.Mesh
	vip    string
	stores map[string]*servers.Server
	links  links
	town   *town
	ears   []*ear // people
	eyes   []*ear // the owner's, one at each edge
	live   *live
	desk   *desk
	out    *progress

	began time.Time
	over  []func() // in reverse

	mu       sync.Mutex
	problems []string
	told     map[string]bool
}

// Run runs the lab. An error means that it could not; what the mesh did wrong is in the result.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	cfg.Shape = cfg.Broken()
	if cfg.Plan == nil {
		cfg.Plan = Make(cfg.Seed, cfg.Shape, cfg.Length, cfg.Every, cfg.Clients)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(clientsGC))
	l := &lab{cfg: cfg, rnd: rand.New(rand.NewPCG(cfg.Seed, 11)), told: map[string]bool{}, stores: map[string]*servers.Server{},
		out: &progress{out: cfg.Out, terminal: cfg.Status}}
	defer func() {
		for i := len(l.over) - 1; i >= 0; i-- {
			l.over[i]()
		}
	}()
	if err := errors.Join(l.open(ctx), ctx.Err()); err != nil {
		return nil, err
	}
	return l.run(ctx)
}

// open starts stores, links and mesh.
func (l *lab) open(ctx context.Context) error {
	begun := time.Now()
	if l.cfg.Real {
		l.out.line("starting %v", StoreNames)
		if err := l.openStores(); err != nil {
			return err
		}
	}
	s := l.cfg.Shape
	base, err := mesh.FreePorts(s.Leaves*s.Hubs + 1)
	if err != nil {
		return err
	}
	local := func(i int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(base+i)) }
	l.vip = local(s.Leaves * s.Hubs)
	args := []string{"--restart", "--vip", l.vip, "--leaf-via", local(0), "--drain-window", "3s", "--log", "info",
		"--leaves", strconv.Itoa(s.Leaves), "--hubs", strconv.Itoa(s.Hubs), "--cores", strconv.Itoa(s.Cores),
		"--postgres", l.cfg.Postgres, "--cql", l.cfg.CQL, "--redis", l.cfg.Redis}
	l.mesh, err = mesh.New(mesh.Options{Bin: l.cfg.Bin, Processes: true, Edges: s.Edges, Args: args})
	if err != nil {
		return err
	}
	l.over = append(l.over, func() {
		if l.cfg.Log != "" {
			os.WriteFile(l.cfg.Log, []byte(l.mesh.LogTail(1<<22)), 0o644)
		}
		l.mesh.Close()
	})
	for i := range s.Leaves {
		for k := range s.Hubs {
			hub := fmt.Sprintf("hub-%d", k+1)
			x, err := listenLink(fmt.Sprintf("leaf-%d %s", i+1, hub), local(i*s.Hubs+k), func() (string, error) { return l.hub(hub) })
			if err != nil {
				return err
			}
			l.links = append(l.links, x)
			l.over = append(l.over, x.stop)
		}
	}
	l.out.line("starting a mesh of %d edges, %d leaves, %d hubs, %d cores", s.Edges, s.Leaves, s.Hubs, s.Cores)
	startCtx, cancel := context.WithTimeout(ctx, liveLimit)
	defer cancel()
	if err := l.mesh.Start(startCtx); err != nil {
		return err
	}
	rest := newREST("http://"+l.vip, l.tell)
	defer rest.HTTP.CloseIdleConnections()
	for err := rest.Call(startCtx, "GET", "/gateway", nil, nil); err != nil; err = rest.Call(startCtx, "GET", "/gateway", nil, nil) {
		if !pause(startCtx, 20*time.Millisecond) {
			return fmt.Errorf("nothing serves at %s: %w", l.vip, err)
		}
	}
	l.out.line("the mesh serves at %s after %.1f s", l.vip, time.Since(begun).Seconds())
	return nil
}

func (l *lab) openStores() error {
	var mu sync.Mutex
	var g errgroup.Group
	for _, name := range StoreNames {
		g.Go(func() error {
			s, err := servers.Launch(name, servers.Keeps, servers.Soon, servers.Slack)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			l.stores[name] = s
			l.over = append(l.over, func() { s.Signal(contSignal); s.Close() })
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	l.cfg.Postgres, l.cfg.Redis, l.cfg.CQL = l.stores["postgres"].Address, l.stores["redis"].Address, l.stores["cassandra"].Address
	return nil
}

// hub is where a hub listens for leaves: starling dev keeps it.
func (l *lab) hub(name string) (string, error) {
	text, err := os.ReadFile(filepath.Join(l.mesh.DataDir(), "ports.json"))
	if err != nil {
		return "", err
	}
	var ports map[string]int
	if err := json.Unmarshal(text, &ports); err != nil {
		return "", err
	}
	port := ports[name+".leafnodes"]
	if port == 0 {
		return "", fmt.Errorf("%s has no port yet", name)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), nil
}

// tell notes a problem, each once.
func (l *lab) tell(problem string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.told[problem] && len(l.told) < 10*maxProblems {
		l.told[problem] = true
		l.problems = append(l.problems, problem)
	}
}

// run is the load, the plan, and the verdict.
func (l *lab) run(ctx context.Context) (*Result, error) {
	var err error
	settle0 := time.Now()
	l.town, err = settle(ctx, "http://"+l.vip, l.cfg.Guilds, l.cfg.Clients, l.rnd, l.tell)
	if err != nil {
		return nil, fmt.Errorf("guilds and accounts: %w", err)
	}
	l.over = append(l.over, l.town.owner.HTTP.CloseIdleConnections)
	l.out.line("%d guilds and %d clients made in %.1f s", l.cfg.Guilds, l.cfg.Clients, time.Since(settle0).Seconds())
	hearing, deaf := context.WithCancel(context.WithoutCancel(ctx))
	var ears sync.WaitGroup
	l.listen(hearing, &ears)
	l.over = append(l.over, func() { deaf(); ears.Wait() })
	if err := l.allLive(ctx, liveLimit); err != nil {
		return nil, err
	}
	l.allShown(ctx, healLimit)
	l.out.line("all clients are live; the plan begins")

	l.began = time.Now()
	l.desk = &desk{town: l.town, rate: l.cfg.Rate, tell: l.tell, refused: map[string]int{}}
	writing, stopWriting := context.WithCancel(context.WithoutCancel(ctx))
	quit := make(chan struct{})
	wrote := make(chan struct{})
	go func() { defer close(wrote); l.desk.run(writing, quit) }()
	defer func() { stopWriting(); <-wrote }()
	b := &breaker{mesh: l.mesh, stores: l.stores, links: l.links, ears: l.ears, rnd: l.rnd, began: l.began,
		clerk: &clerk{town: l.town, tell: l.tell, rnd: rand.New(rand.NewPCG(l.cfg.Seed, 13)), busy: map[seat]bool{}}}
	breaking, stopBreaking := context.WithCancel(ctx)
	broke := make(chan struct{})
	go func() {
		defer close(broke)
		b.run(breaking, l.cfg.Plan, func(d Done) {
			l.out.fault(d)
			if d.Err != nil {
				l.tell(fmt.Sprintf("%v: %v", d.Fault, d.Err))
			}
		})
	}()
	defer func() { stopBreaking(); <-broke }()
	l.watch(ctx)
	length := time.Since(l.began)
	close(quit)
	for what, done := range map[string]chan struct{}{"messages without an answer": wrote, "faults under way": broke} {
		select {
		case <-done:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(healLimit):
			l.tell(fmt.Sprintf("%s %v after the end of the plan", what, healLimit))
			stopWriting()
			stopBreaking()
			<-done
		}
	}
	l.hearOut(ctx)
	deaf()
	ears.Wait()
	past, err := l.history(ctx)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	if trouble := l.mesh.Trouble(); trouble != "" {
		l.tell("the mesh says: " + trouble)
	}
	return l.judge(length, past, b), nil
}

// listen connects the clients and the witnesses.
func (l *lab) listen(ctx context.Context, wg *sync.WaitGroup) {
	in := map[proto.ID]int{}
	for i, g := range l.town.guilds {
		in[g.id] = i
	}
	edges := l.cfg.Shape.Edges
	l.live = &live{there: make([]bool, l.cfg.Clients+edges)}
	add := func(n int, user proto.ID, token string) *ear {
		e := &ear{n: n, user: user, token: token, live: l.live, tell: l.tell, rnd: rand.New(rand.NewPCG(l.cfg.Seed, 100+uint64(n))),
			dial: func(int) string { return "ws://" + l.vip + "/gateway" }, wants: map[string]any{"large_threshold": 250}}
		e.record = newRecord(l.town.home, in, func() { l.live.ready(n, true) })
		e.log = client.NewLog(func(problem string) { l.tell(fmt.Sprintf("client %d: %s", n, problem)) })
		return e
	}
	for i, p := range l.town.people {
		e := add(i, p.id, p.token)
		if i%5 == 0 {
			e.compress = "zlib-stream"
		}
		l.ears = append(l.ears, e)
	}
	for i := range edges {
		e := add(l.cfg.Clients+i, l.town.ownerID, l.town.owner.Token[len("Bearer "):])
		e.witness = newWitness(in)
		e.dial = func(int) string { return l.mesh.Gateway(i) }
		l.eyes = append(l.eyes, e)
	}
	for _, e := range append(l.eyes[:len(l.eyes):len(l.eyes)], l.ears...) {
		wg.Go(func() { e.run(ctx) })
	}
}

// allLive waits until every client is.
func (l *lab) allLive(ctx context.Context, limit time.Duration) error {
	all := l.cfg.Clients + l.cfg.Shape.Edges
	for begun := time.Now(); l.live.now() < all; {
		if time.Since(begun) > limit {
			return fmt.Errorf("%d of %d clients are live after %v", l.live.now(), all, limit)
		}
		l.out.status("%d of %d clients are live", l.live.now(), all)
		if !pause(ctx, 200*time.Millisecond) {
			return ctx.Err()
		}
	}
	return nil
}

// allShown waits until everybody has all guilds that they were added to. READY need not name each: what a guild's bucket decided is on its way to
// the user's.
func (l *lab) allShown(ctx context.Context, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for _, e := range append(l.eyes[:len(l.eyes):len(l.eyes)], l.ears...) {
		for i, g := range l.town.guilds {
			if e.witness == nil && !slices.Contains(l.town.people[e.n].guilds, i) {
				continue
			}
			for !e.record.sees(g.channels[square]) {
				if !pause(ctx, 10*time.Millisecond) {
					l.tell(fmt.Sprintf("client %d was added to guild %d, and is not shown it after %v", e.n, i, limit))
					break
				}
			}
		}
	}
}

// watch shows how things are until the plan's time is over.
func (l *lab) watch(ctx context.Context) {
	last, at := int64(0), l.began
	for n := 1; time.Since(l.began) < l.cfg.Length; n++ {
		if !pause(ctx, min(time.Second, time.Until(l.began.Add(l.cfg.Length)))) {
			return
		}
		delivered := l.live.delivered.Load()
		acked, waiting := l.desk.now()
		text := fmt.Sprintf("%s  %d delivered (%.0f/s), %d acknowledged, %d wait, live %d of %d, resumed %d, identified anew %d", clock(time.Since(l.began).Round(time.Second)),
			delivered, float64(delivered-last)/time.Since(at).Seconds(), acked, waiting, l.live.now(), l.cfg.Clients+l.cfg.Shape.Edges, l.live.resumes.Load(),
			l.live.identifies.Load()-int64(l.cfg.Clients+l.cfg.Shape.Edges))
		last, at = delivered, time.Now()
		if l.out.status("%s", text); !l.out.terminal && n%10 == 0 {
			l.out.line("%s", text)
		}
	}
}

// hearOut rings the bells and waits until all have heard them: what came before has come.
func (l *lab) hearOut(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, healLimit)
	defer cancel()
	if err := l.allLive(ctx, healLimit); err != nil {
		l.tell(fmt.Sprintf("at the end: %v", err))
	}
	for _, n := range l.desk.bell(ctx) {
		g := l.town.guilds[n.guild]
		for _, e := range append(l.eyes[:len(l.eyes):len(l.eyes)], l.ears...) {
			if e.witness == nil && !slices.Contains(g.members, e.n) {
				continue
			}
			for !e.record.heard(g.channels[square], n.id) || n.id == 0 {
				if !pause(ctx, 10*time.Millisecond) {
					break
				}
			}
		}
	}
}

// judge compares everything.
func (l *lab) judge(length time.Duration, past map[proto.ID][]proto.Message, b *breaker) *Result {
	c := &court{town: l.town, notes: l.desk.notes}
	for _, p := range l.problems {
		c.tell("%s", p)
	}
	c.history(past)
	times := make([]*timeline, len(l.town.guilds))
	all := make([]int, len(times))
	var witnesses []*witness
	for _, e := range l.eyes {
		witnesses = append(witnesses, e.witness)
	}
	for i := range times {
		times[i], all[i] = newTimeline(i, witnesses), i
	}
	var records []*record
	for _, e := range append(l.ears[:len(l.ears):len(l.ears)], l.eyes...) {
		name, guilds := fmt.Sprintf("client %d", e.n), all
		if e.witness == nil {
			guilds = l.town.people[e.n].guilds
		} else {
			name = fmt.Sprintf("witness %d", e.n-l.cfg.Clients+1)
		}
		view := func(g int) *view { return times[g].of(e.user) }
		c.client(name, guilds, view, e.record)
		c.shown(name, guilds, view, e.record)
		records = append(records, e.record)
	}
	r := &Result{Config: l.cfg, Tally: c.Tally, Began: l.began, Length: length, Refused: l.desk.refused, HeldBack: l.desk.late, Flips: b.clerk.done}
	people := records[:len(l.ears)]
	r.Seconds = seconds(l.began, length, l.desk.notes, people)
	r.Effects = effects(l.began, length, b.all(), l.desk.notes, people)
	r.Killed = killedEdges(r.Effects)
	return r
}
