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

// honest sends and reads as people do for a while, and gives the times from call to last client, sorted.
func (w *wire) honest(ctx context.Context, lasting time.Duration) ([]time.Duration, error) {
	n := honestRate * int(lasting/time.Second)
	start, last := make([]atomic.Int64, n), make([]atomic.Int64, n)
	var readers sync.WaitGroup
	sockets := make([]*socket, honest)
	for i := range sockets {
		s, err := connect(ctx, w.m.Gateway(i%mesh.Edges), w.bots[i].Token, n)
		if err != nil {
			return nil, err
		}
		sockets[i] = s
		readers.Go(func() {
			s.run(func(k uint32) {
				if int(k) < n {
					now := int64(time.Since(w.began))
					for old := last[k].Load(); old < now && !last[k].CompareAndSwap(old, now); old = last[k].Load() {
					}
				}
			})
		})
	}
	rest := client.NewREST(w.m.HTTP(0), func(p string) { w.r.note("wire: %s", p) })
	defer rest.HTTP.CloseIdleConnections()
	todo, errs := make(chan int, n), make(chan error, senders)
	var calls sync.WaitGroup
	for i := range senders {
		as := rest.As(w.bots[i].Auth()).At(w.m.HTTP(i % mesh.Edges))
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
			}
		})
	}
	tick := time.NewTicker(time.Second / honestRate)
	defer tick.Stop()
	for k := range n {
		<-tick.C
		start[k].Store(int64(time.Since(w.began)))
		todo <- k
	}
	close(todo)
	calls.Wait()
	for until := time.Now().Add(5 * time.Second); time.Now().Before(until) && slices.ContainsFunc(sockets, func(s *socket) bool { return s.count.Load() < int64(n) }); {
		<-tick.C
	}
	for _, s := range sockets {
		s.conn.Close()
	}
	readers.Wait()
	select {
	case err := <-errs:
		return nil, err
	default:
	}
	var delays []time.Duration
	var slow []string
	for k := range n {
		if last[k].Load() == 0 {
			return nil, fmt.Errorf("honest message %d reached nobody", k)
		}
		d := time.Duration(last[k].Load() - start[k].Load())
		delays = append(delays, d)
		if d > p99Aim {
			slow = append(slow, fmt.Sprintf("%v at %.2fs", d.Round(time.Millisecond), float64(k)/honestRate))
		}
	}
	w.r.note("%d over %v: %s", len(slow), p99Aim, strings.Join(slow[:min(len(slow), 40)], ", "))
	slices.Sort(delays)
	return delays, nil
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
