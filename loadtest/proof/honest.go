package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/loadtest/mesh"
)

// What honest people do while figures about others are taken.
const (
	honest        = 20 // clients
	honestRate    = 50 // messages per second
	honestLasting = 8 * time.Second
)

// people are honest, and there, at both edges: with sockets, and connections for their calls.
type people struct {
	w       *wire
	rest    *client.REST
	sockets []*socket
	readers sync.WaitGroup
	// Of each message, by number, since w.began: when it was to be sent, when its sender had the answer, and when the last at each edge has seen it.
	start, answered []atomic.Int64
	last            [mesh.Edges][]atomic.Int64
	next            int // number of the next message
}

// honest lets people come who will talk for so long in all.
func (w *wire) honest(ctx context.Context, lasting time.Duration) (*people, error) {
	n := honestRate * int(lasting/time.Second)
	p := &people{w: w, rest: client.NewREST(w.m.HTTP(0), func(p string) { w.r.note("wire: %s", p) }), start: make([]atomic.Int64, n), answered: make([]atomic.Int64, n)}
	for i := range p.last {
		p.last[i] = make([]atomic.Int64, n)
	}
	for i := range honest {
		s, err := connect(ctx, w.m.Gateway(i%mesh.Edges), w.bots[i].Token, n)
		if err != nil {
			p.leave()
			return nil, err
		}
		p.sockets = append(p.sockets, s)
		last := p.last[i%mesh.Edges]
		p.readers.Go(func() {
			s.run(func(k uint32) {
				if int(k) < n {
					now := int64(time.Since(w.began))
					for old := last[k].Load(); old < now && !last[k].CompareAndSwap(old, now); old = last[k].Load() {
					}
				}
			})
		})
	}
	return p, nil
}

func (p *people) leave() {
	for _, s := range p.sockets {
		s.conn.Close()
	}
	p.readers.Wait()
	p.rest.HTTP.CloseIdleConnections()
}

// talk sends and reads as people do for a while, and gives the times from call to last client, sorted.
func (p *people) talk(ctx context.Context, lasting time.Duration) ([]time.Duration, error) {
	w, from, to := p.w, p.next, p.next+honestRate*int(lasting/time.Second)
	p.next = to
	for _, s := range p.sockets {
		if err := s.beat(); err != nil {
			return nil, err
		}
	}
	todo, errs := make(chan int, to-from), make(chan error, senders)
	var calls sync.WaitGroup
	for i := range senders {
		as := p.rest.As(w.bots[i].Auth()).At(w.m.HTTP(i % mesh.Edges))
		calls.Go(func() {
			for k := range todo {
				a, err := as.Raw(ctx, "POST", fmt.Sprintf("/channels/%s/messages", w.channel), fmt.Sprintf(`{"content":"proof %d"}`, k))
				if err == nil && a.Status != 200 {
					err = fmt.Errorf("honest message: %d %s", a.Status, a.Body)
				}
				if err != nil {
					errs <- err
					return
				}
				p.answered[k].Store(int64(time.Since(w.began)))
			}
		})
	}
	tick := time.NewTicker(time.Second / honestRate)
	defer tick.Stop()
	for k := from; k < to; k++ {
		<-tick.C
		p.start[k].Store(int64(time.Since(w.began)))
		todo <- k
	}
	close(todo)
	calls.Wait()
	misses := func(s *socket) bool { return s.count.Load() < int64(to) }
	for until := time.Now().Add(5 * time.Second); time.Now().Before(until) && slices.ContainsFunc(p.sockets, misses); {
		<-tick.C
	}
	select {
	case err := <-errs:
		return nil, err
	default:
	}
	if i := slices.IndexFunc(p.sockets, misses); i >= 0 {
		return nil, fmt.Errorf("honest client %d got %d of %d messages", i, p.sockets[i].count.Load(), to)
	}
	var delays []time.Duration
	var slow []string
	for k := from; k < to; k++ {
		since := func(at *atomic.Int64) time.Duration { return time.Duration(at.Load() - p.start[k].Load()) }
		var d time.Duration
		var parts []string
		for i := range p.last {
			there := since(&p.last[i][k])
			d = max(d, there)
			parts = append(parts, fmt.Sprintf("edge-%d %v", i+1, there.Round(time.Millisecond)))
		}
		delays = append(delays, d)
		if d > p99Aim {
			slow = append(slow, fmt.Sprintf("%.2fs: %s, answered %v", float64(k-from)/honestRate, strings.Join(parts, ", "), since(&p.answered[k]).Round(time.Millisecond)))
		}
	}
	w.r.note("%d over %v: %s", len(slow), p99Aim, strings.Join(slow[:min(len(slow), 40)], "; "))
	slices.Sort(delays)
	return delays, nil
}

// talkOnce is talk of people who come for it and leave.
func (w *wire) talkOnce(ctx context.Context, lasting time.Duration) ([]time.Duration, error) {
	p, err := w.honest(ctx, lasting)
	if err != nil {
		return nil, err
	}
	defer p.leave()
	return p.talk(ctx, lasting)
}

// quantile of sorted times.
func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// heap is the least that the mesh's heap held in a while, each time after a collection, in MiB.
func (w *wire) heap(ctx context.Context, during time.Duration) (float64, error) {
	least := 0.0
	for until := time.Now().Add(during); time.Now().Before(until) && ctx.Err() == nil; time.Sleep(500 * time.Millisecond) {
		// What is garbage already may lie there for two minutes while nothing happens; what is asked is what is kept.
		collected, err := http.Get(w.m.Admin(0) + "/debug/pprof/heap?gc=1")
		if err != nil {
			return 0, err
		}
		collected.Body.Close()
		resp, err := http.Get(w.m.Admin(0) + "/metrics")
		if err != nil {
			return 0, err
		}
		sc := bufio.NewScanner(resp.Body)
		for sc.Scan() {
			if v, ok := strings.CutPrefix(sc.Text(), "go_memstats_heap_alloc_bytes "); ok {
				n, _ := strconv.ParseFloat(v, 64)
				if mib := n / (1 << 20); least == 0 || mib < least {
					least = mib
				}
			}
		}
		resp.Body.Close()
	}
	return least, ctx.Err()
}
