package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/loadtest/mesh"
)

// What is asked while the mesh is attacked.
const (
	honest        = 20 // clients
	honestRate    = 50 // messages per second
	honestLasting = 8 * time.Second
	slowdown      = 2.0 // p99 under attack, against the usual
	memoryBound   = 1.2 // heap after the attack, against that before
	memoryWait    = 20 * time.Second
	attackRate    = 200 // hostile calls per second; there are as many hostile frames a second as fit into a tenth of it
	idleSockets   = 2000
	loginRate     = 10 // per second, each a password hash: what one address may do where rate limits are on
)

// attack measures honest clients alone, then while others attack, and looks whether the mesh has its memory back afterwards.
func (w *wire) attack(ctx context.Context) error {
	w.r.note("honest clients alone: %d/s for %v", honestRate, honestLasting)
	usual, err := w.honest(ctx)
	if err != nil {
		return err
	}
	before, err := w.heap(ctx, 3*time.Second)
	if err != nil {
		return err
	}
	w.r.note("under attack")
	a := &attackers{w: w, answers: map[string]int{}}
	attacking, stop := context.WithCancel(ctx)
	a.begin(attacking)
	under, err := w.honest(ctx)
	stop()
	a.wg.Wait()
	if err != nil {
		return err
	}
	w.r.note("hostile answers: %v", a.answers)
	w.r.zero("answers 5xx under attack (503 with Retry-After from the queue of password hashes excepted)", int(a.failures.Load()))
	bound := time.Duration(float64(usual) * slowdown)
	w.r.atMost(fmt.Sprintf("honest p99 under attack (%d hostile calls/s, %d idle sockets, password hashes), usual %v", attackRate, idleSockets,
		usual.Round(100*time.Microsecond)), bound, under, "")
	after := before
	for until := time.Now().Add(memoryWait); ; {
		if after, err = w.heap(ctx, 3*time.Second); err != nil {
			return err
		}
		if after <= before*memoryBound || time.Now().After(until) {
			break
		}
	}
	w.r.line("heap after the attack", fmt.Sprintf("≤ %.1f MiB (%.1f before)", before*memoryBound, before), fmt.Sprintf("%.1f MiB", after),
		after <= before*memoryBound)
	return nil
}

// honest sends and reads as people do, and gives the p99 from call to last client.
func (w *wire) honest(ctx context.Context) (time.Duration, error) {
	n := honestRate * int(honestLasting/time.Second)
	start, last := make([]atomic.Int64, n), make([]atomic.Int64, n)
	var readers sync.WaitGroup
	sockets := make([]*socket, honest)
	for i := range sockets {
		s, err := connect(ctx, w.m.Gateway(i%mesh.Edges), w.bots[i].Token, n)
		if err != nil {
			return 0, err
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
		return 0, err
	default:
	}
	var delays []time.Duration
	for k := range n {
		if last[k].Load() == 0 {
			return 0, fmt.Errorf("honest message %d reached nobody", k)
		}
		delays = append(delays, time.Duration(last[k].Load()-start[k].Load()))
	}
	slices.Sort(delays)
	return delays[n*99/100], nil
}

// heap is the least that the mesh's heap held in a while, in MiB: what is there after a collection.
func (w *wire) heap(ctx context.Context, during time.Duration) (float64, error) {
	least := 0.0
	for until := time.Now().Add(during); time.Now().Before(until) && ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
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

// attackers do what nobody should.
type attackers struct {
	w        *wire
	wg       sync.WaitGroup
	failures atomic.Int64

	mu      sync.Mutex
	answers map[string]int
}

func (a *attackers) begin(ctx context.Context) {
	rest := client.NewREST(a.w.m.HTTP(1), nil)
	forged := rest.As("Bot " + a.w.bots[0].Token + "x")
	good := rest.As(a.w.bots[1].Auth())
	channel := "/channels/" + a.w.channel.String()
	deep := `{"embeds":` + strings.Repeat("[", 20000)
	kinds := []func(i int){
		func(int) { a.call(ctx, forged, "GET", "/users/@me", nil) },
		func(int) { a.call(ctx, good, "POST", channel+"/messages", deep) },
		func(int) { a.call(ctx, good, "POST", channel+"/messages", `{"content":`+strings.Repeat("9", 400)+`}`) },
		func(i int) { a.call(ctx, good, "GET", fmt.Sprintf("/channels/%d/messages", 1<<62+i), nil) },
		func(i int) { a.call(ctx, good, "DELETE", fmt.Sprintf("/guilds/%d", 1<<61+i), nil) },
		func(int) { a.call(ctx, good, "GET", "/channels/..%2f..%2fusers/@me", nil) },
	}
	a.each(ctx, attackRate, 8, func(i int) { kinds[i%len(kinds)](i) })
	a.each(ctx, loginRate, 40, func(i int) {
		a.call(ctx, rest, "POST", "/auth/login", map[string]any{"login": fmt.Sprint("nobody", i), "password": "wrong password"})
	})
	a.each(ctx, attackRate/10, 4, func(i int) { a.frames(ctx, i) })
	a.wg.Go(func() {
		var conns []net.Conn
		for range idleSockets {
			if c, err := net.DialTimeout("tcp", a.w.m.Addr(0), time.Second); err == nil && ctx.Err() == nil {
				conns = append(conns, c)
			}
		}
		<-ctx.Done()
		for _, c := range conns {
			c.Close()
		}
		rest.HTTP.CloseIdleConnections()
	})
}

// each calls f so often per second, from several goroutines.
func (a *attackers) each(ctx context.Context, perSecond, workers int, f func(i int)) {
	todo := make(chan int)
	for range workers {
		a.wg.Go(func() {
			for i := range todo {
				f(i)
			}
		})
	}
	a.wg.Go(func() {
		defer close(todo)
		tick := time.NewTicker(time.Second / time.Duration(perSecond))
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			select {
			case todo <- i:
			case <-ctx.Done():
				return
			}
		}
	})
}

func (a *attackers) call(ctx context.Context, as *client.REST, method, path string, body any) {
	got, err := as.Raw(ctx, method, path, body)
	if err != nil {
		return // the attack is over
	}
	if queue := got.Status == 503 && path == "/auth/login" && got.Header.Get("Retry-After") != ""; got.Status >= 500 && !queue {
		a.failures.Add(1)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers[fmt.Sprint(got.Status)]++
}

// frames connects and sends what closes the connection.
func (a *attackers) frames(ctx context.Context, i int) {
	c, _, _, err := ws.Dial(ctx, a.w.m.Gateway(i%mesh.Edges)+"?v=10&encoding=json")
	if err != nil {
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * time.Second))
	bad := []string{`{"op":`, `{"op":"x"}`, `{"op":1,"d":"` + strings.Repeat("x", 5000) + `"}`, "\xff\xfe", `{"op":2,"d":{"token":"a.b.c"}}`}
	ws.WriteFrame(c, ws.MaskFrame(ws.NewTextFrame([]byte(bad[i%len(bad)]))))
	for {
		if f, err := ws.ReadFrame(c); err != nil || f.Header.OpCode == ws.OpClose {
			break
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers["gateway"]++
}
