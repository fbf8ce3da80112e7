package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/loadtest/mesh"
	"github.com/starling-chat/starling/proto"
)

// What is asked of the wire.
const (
	startBound = 3 * time.Second
	clients    = 200
	senders    = 16
	rate       = 100 // messages per second
	lasting    = 20 * time.Second
	p99Bound   = 50 * time.Millisecond
	p99Aim     = 20 * time.Millisecond
)

// proveWire starts a mesh, fills one guild and measures.
func proveWire(ctx context.Context, r *report, args []string) error {
	flags := flag.NewFlagSet("proof wire", flag.ContinueOnError)
	flags.SetOutput(r.progress)
	readme := flags.Bool("readme", false, "put the lines into README.md, in place of the last run's")
	only := flags.String("only", "", "load, attack or hostile")
	kinds := flags.String("attack", "", "of rest, logins, frames, idle, by comma; empty = all")
	bin := flags.String("bin", "", "the binary; empty = built now")
	if err := flags.Parse(args); err != nil {
		return err
	}
	r.note("building")
	if *bin == "" {
		built, err := mesh.Build(false)
		if err != nil {
			return err
		}
		*bin = built
	}
	m, err := mesh.New(mesh.Options{Bin: *bin})
	if err != nil {
		return err
	}
	defer m.Close()
	took, err := start(ctx, m, 1)
	if err != nil {
		return err
	}
	r.atMost("start, nothing kept: from exec to ready and where to connect printed", startBound, took, "")
	w := &wire{r: r, m: m, start: make([]atomic.Int64, rate*int(lasting/time.Second)), began: time.Now()}
	w.last = make([]atomic.Int64, len(w.start))
	if err := w.people(ctx); err != nil {
		return err
	}
	if *kinds != "" {
		w.parts = strings.Split(*kinds, ",")
	}
	if *only == "" || *only == "load" {
		if err := w.connect(ctx); err != nil {
			return err
		}
		if err := w.load(ctx); err != nil {
			return fmt.Errorf("%w\n%s", err, m.LogTail(20))
		}
		if err := w.judge(ctx); err != nil {
			return err
		}
	}
	if *only == "" || *only == "attack" {
		if err := w.attack(ctx); err != nil {
			return fmt.Errorf("%w\n%s", err, m.LogTail(20))
		}
	}
	if *only == "" || *only == "hostile" {
		if err := w.hostile(ctx); err != nil {
			return err
		}
	}
	if *only != "" {
		return nil
	}
	if err := m.Kill(); err != nil {
		return err
	}
	if took, err = start(ctx, m, 2); err != nil {
		return err
	}
	r.atMost("start after kill -9, on what was kept", startBound, took, "")
	if *readme {
		return writeReadme("wire", r.lines)
	}
	return nil
}

// start runs the mesh and waits until it serves and its log names the address to connect to for the n-th time.
func start(ctx context.Context, m *mesh.Mesh, n int) (time.Duration, error) {
	ctx, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	if err := m.Start(ctx); err != nil {
		return 0, err
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		log, err := os.ReadFile(m.LogPath())
		if err != nil {
			return 0, err
		}
		if strings.Count(string(log), m.Gateway(0)) >= n {
			return m.Since(), nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return 0, fmt.Errorf("the mesh does not print %s: %w\n%s", m.Gateway(0), ctx.Err(), m.LogTail(20))
		}
	}
}

// wire is one measurement. Message n was called at start[n] and was last read by a client at last[n], both since began.
type wire struct {
	r       *report
	m       *mesh.Mesh
	began   time.Time
	owner   *client.REST
	guild   proto.ID
	channel proto.ID
	bots    []client.Bot
	sockets []*socket
	start   []atomic.Int64
	last    []atomic.Int64
	readers sync.WaitGroup
	took    time.Duration // of the load
	parts   []string      // of the attack; nil = all
}

// people makes the accounts, over the public API.
func (w *wire) people(ctx context.Context) error {
	w.r.note("one guild, %d bots", clients)
	anon := client.NewREST(w.m.HTTP(0), func(p string) { w.r.note("wire: %s", p) })
	p, err := anon.Register(ctx, "proof", "a password of the proof")
	if err != nil {
		return err
	}
	w.owner = anon.As("Bearer " + p.Token)
	g, err := w.owner.Guild(ctx, "Proof")
	if err != nil {
		return err
	}
	c, err := w.owner.Channel(ctx, g.ID, "load")
	if err != nil {
		return err
	}
	w.guild, w.channel, w.bots = g.ID, c.ID, make([]client.Bot, clients)
	return each(clients, 4, func(i int) error {
		b, err := w.owner.Application(ctx, fmt.Sprintf("proof%03d", i))
		if err != nil {
			return err
		}
		w.bots[i] = b
		return w.owner.AddBot(ctx, w.guild, b.ID)
	})
}

// connect opens one session per bot, every other one at the other edge.
func (w *wire) connect(ctx context.Context) error {
	w.r.note("connecting %d clients to %d edges", clients, mesh.Edges)
	ctx, stop := context.WithTimeout(ctx, 60*time.Second)
	defer stop()
	w.sockets = make([]*socket, clients)
	if err := each(clients, 8, func(i int) (err error) {
		w.sockets[i], err = connect(ctx, w.m.Gateway(i%mesh.Edges), w.bots[i].Token, len(w.start))
		return err
	}); err != nil {
		return err
	}
	for _, s := range w.sockets {
		w.readers.Go(func() {
			s.run(func(n uint32) {
				if int(n) < len(w.last) {
					now := int64(time.Since(w.began))
					for old := w.last[n].Load(); old < now && !w.last[n].CompareAndSwap(old, now); old = w.last[n].Load() {
					}
				}
			})
		})
	}
	return nil
}

// load calls at the rate, whatever the answers take, and waits until every client has everything or nothing comes any more.
func (w *wire) load(ctx context.Context) error {
	w.r.note("%d messages/s for %v", rate, lasting)
	beats := time.NewTicker(15 * time.Second)
	defer beats.Stop()
	rest := client.NewREST(w.m.HTTP(0), func(p string) { w.r.note("wire: %s", p) })
	path := fmt.Sprintf("/channels/%s/messages", w.channel)
	todo := make(chan int, len(w.start))
	var calls sync.WaitGroup
	errs := make([]error, senders)
	for i := range senders {
		as := rest.As(w.bots[i].Auth()).At(w.m.HTTP(i % mesh.Edges))
		calls.Go(func() {
			for n := range todo {
				a, err := as.Raw(ctx, "POST", path, fmt.Sprintf(`{"content":"proof %d"}`, n))
				if err == nil && a.Status != 200 {
					err = fmt.Errorf("message %d: %d %s", n, a.Status, a.Body)
				}
				if err != nil {
					errs[i] = err
				}
			}
		})
	}
	before, err := usedCPU(w.m.PID())
	if err != nil {
		return err
	}
	begin := time.Now()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for n := 0; n < len(w.start); {
		select {
		case <-ctx.Done():
			close(todo)
			return ctx.Err()
		case <-beats.C:
			w.beat()
		case now := <-tick.C:
			for ; n < len(w.start) && now.Sub(begin) >= time.Duration(n)*time.Second/rate; n++ {
				w.start[n].Store(int64(time.Since(w.began)))
				todo <- n
				if n > 0 && n%(5*rate) == 0 {
					w.r.note("%d sent", n)
				}
			}
		}
	}
	close(todo)
	calls.Wait()
	w.took = time.Since(begin)
	after, err := usedCPU(w.m.PID())
	if err != nil {
		return err
	}
	w.r.note("%s", after.since(before))
	if err := errors.Join(errs...); err != nil {
		return err
	}
	w.settle(ctx)
	for _, s := range w.sockets {
		s.conn.Close()
	}
	w.readers.Wait()
	for i, s := range w.sockets {
		if s.err != nil {
			w.r.note("client %d: %v", i, s.err)
		}
	}
	return nil
}

func (w *wire) beat() {
	for _, s := range w.sockets {
		s.beat() // a socket that is gone shows in what it lost
	}
}

// settle waits until all have all, at most 5 s, and then a little for what comes twice.
func (w *wire) settle(ctx context.Context) {
	deadline := time.After(5 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for calm := 0; calm < 10; {
		select {
		case <-ctx.Done():
			return
		case <-deadline:
			return
		case <-tick.C:
		}
		all := true
		for _, s := range w.sockets {
			all = all && s.count.Load() >= int64(len(w.start))
		}
		if all {
			calm++
		}
	}
}

// judge compares what every client saw with history and prints the figures.
func (w *wire) judge(ctx context.Context) error {
	want, err := w.history(ctx)
	if err != nil {
		return err
	}
	place := make([]int, len(w.start)) // of a message in history, from 1
	for i, n := range want {
		place[n] = i + 1
	}
	lost, doubled, disordered := 0, 0, 0
	for _, s := range w.sockets {
		times := make([]int, len(w.start))
		before := 0
		for _, n := range s.seen {
			if times[n]++; times[n] > 1 {
				doubled++
				continue
			}
			if place[n] < before {
				disordered++
			}
			before = max(before, place[n])
		}
		for _, n := range times {
			if n == 0 {
				lost++
			}
		}
	}
	w.r.line("messages in history", fmt.Sprint(len(w.start)), fmt.Sprint(len(want)), len(want) == len(w.start))
	deliveries := fmt.Sprintf("%d clients on %d edges, %d messages: ", clients, mesh.Edges, len(w.start))
	w.r.zero(deliveries+"lost", lost)
	w.r.zero(deliveries+"doubled", doubled)
	w.r.zero(deliveries+"disordered", disordered)
	got := float64(len(w.start)) / w.took.Seconds()
	w.r.line("rate", fmt.Sprintf("%d/s for %v", rate, lasting), fmt.Sprintf("%.1f/s", got), got > 0.97*rate)

	w.slowest()
	var delays []time.Duration
	for n := range w.start {
		if last := w.last[n].Load(); last > 0 {
			delays = append(delays, time.Duration(last-w.start[n].Load()))
		}
	}
	if len(delays) == 0 {
		return errors.New("no message reached anybody")
	}
	slices.Sort(delays)
	at := func(q float64) time.Duration { return delays[min(len(delays)-1, int(q*float64(len(delays))))] }
	aim := "missed"
	if at(.99) <= p99Aim {
		aim = "met"
	}
	w.r.atMost("from REST call to the last client, p99", p99Bound, at(.99), fmt.Sprintf(" (p50 %v, p90 %v, max %v; aim %v %s)",
		at(.5).Round(100*time.Microsecond), at(.9).Round(100*time.Microsecond), delays[len(delays)-1].Round(100*time.Microsecond), p99Aim, aim))
	return nil
}

// slowest notes when messages were late: stalls come in clusters, and their rhythm tells whose they are.
func (w *wire) slowest() {
	var stalls []string
	until := -1
	for n := range w.start {
		late := time.Duration(w.last[n].Load() - w.start[n].Load())
		if late <= p99Aim || n <= until {
			continue
		}
		until = n + int(late*rate/time.Second) // the same stall
		stalls = append(stalls, fmt.Sprintf("%v at %.2fs", late.Round(time.Millisecond), float64(n)/rate))
	}
	w.r.note("%d stalls over %v: %s", len(stalls), p99Aim, strings.Join(stalls[:min(len(stalls), 40)], ", "))
}

// history reads the numbers of all messages, oldest first.
func (w *wire) history(ctx context.Context) ([]int, error) {
	var out []int
	query := "limit=100"
	for {
		page, err := w.owner.History(ctx, w.channel, query)
		if err != nil {
			return nil, err
		}
		for _, m := range page {
			var n int
			if _, err := fmt.Sscanf(m.Content, "proof %d", &n); err != nil || n < 0 || n >= len(w.start) {
				return nil, fmt.Errorf("message %s %q was never sent", m.ID, m.Content)
			}
			out = append(out, n)
		}
		if len(page) < 100 {
			slices.Reverse(out)
			return out, nil
		}
		query = fmt.Sprintf("limit=100&before=%s", page[len(page)-1].ID)
	}
}

// each calls f for 0 to n-1, several at a time, and returns the first error.
func each(n, atOnce int, f func(i int) error) error {
	var wg sync.WaitGroup
	var next atomic.Int64
	errs := make([]error, atOnce)
	for w := range atOnce {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n || errs[w] != nil {
					return
				}
				errs[w] = f(i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
