package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto/pb"
)

// pumpWait is how long one answer may take; edges and cores hold calls less long.
const pumpWait = 15 * time.Second

// A pump sends REST calls to the cores as edges do, over NATS, many under way at once, and measures when each is answered. One connection and
// one callback: it is to cost little beside what it measures.
type pump struct {
	nc     *nats.Conn
	inbox  string
	region string
}

func dialPump(url string, trust *tls.Config, region string) (*pump, error) {
	nc, err := nats.Connect(url, nats.Secure(trust), nats.TLSHandshakeFirst(), nats.Name("proof"), nats.MaxReconnects(0))
	if err != nil {
		return nil, err
	}
	return &pump{nc: nc, inbox: nats.NewInbox(), region: region}, nil
}

func (p *pump) close() { p.nc.Close() }

// A load is what to send: call n is made by make, at the rate per second, or, without one, as soon as one of flight is answered.
type load struct {
	make    func(n int) *pb.RestCall
	flight  int
	rate    float64
	warm    time.Duration // before anything counts
	lasting time.Duration
}

// taken is what a load found.
type taken struct {
	delays []time.Duration // sorted, of what was answered within the time that counts
	wall   time.Duration
	errors []string // a few of those that were not answered as they should
	failed int
	sent   int // all of it, warming up included
}

func (t taken) rate() float64 { return float64(len(t.delays)) / t.wall.Seconds() }

func (t taken) at(q float64) time.Duration {
	if len(t.delays) == 0 {
		return 0
	}
	return t.delays[min(len(t.delays)-1, int(q*float64(len(t.delays))))]
}

// slot is one place for a message under way; a call and its answer alternate on it.
type slot struct{ sent atomic.Int64 }

// run sends a load. begin is called when what is measured begins, end when it ends.
func (p *pump) run(ctx context.Context, l load, begin, end func()) (taken, error) {
	r := &pumping{p: p, l: l, slots: make([]slot, l.flight), free: make(chan int, l.flight), began: time.Now()}
	sub, err := p.nc.Subscribe(p.inbox+".*", r.answered)
	if err != nil {
		return taken{}, err
	}
	defer sub.Unsubscribe()
	if err := p.nc.Flush(); err != nil {
		return taken{}, err
	}
	for i := range r.slots {
		r.free <- i
	}
	stop := make(chan struct{})
	var sender sync.WaitGroup
	sender.Go(func() { r.send(stop) })
	err = r.phases(ctx, begin, end)
	close(stop)
	sender.Wait()
	if err != nil {
		return taken{}, err
	}
	return r.result()
}

// pumping is one run.
type pumping struct {
	p     *pump
	l     load
	slots []slot
	free  chan int
	began time.Time

	counting atomic.Bool
	wall     time.Duration

	mu     sync.Mutex
	delays []time.Duration
	failed int
	sent   int
	errors []string
}

func (r *pumping) phases(ctx context.Context, begin, end func()) error {
	if err := wait(ctx, r.l.warm); err != nil {
		return err
	}
	begin()
	from := time.Now()
	r.counting.Store(true)
	err := wait(ctx, r.l.lasting)
	r.counting.Store(false)
	r.wall = time.Since(from)
	end()
	return err
}

// send sends until stop, then waits for what is under way.
func (r *pumping) send(stop <-chan struct{}) {
	pace := time.NewTicker(time.Millisecond)
	defer pace.Stop()
	for n := 0; ; n++ {
		for r.l.rate > 0 && time.Since(r.began).Seconds()*r.l.rate < float64(n) {
			select {
			case <-pace.C:
			case <-stop:
				r.drain()
				return
			}
		}
		select {
		case i := <-r.free:
			if err := r.call(i, n); err != nil {
				r.fail(err.Error())
			}
		case <-stop:
			r.drain()
			return
		}
	}
}

func (r *pumping) drain() {
	late := time.NewTimer(pumpWait)
	defer late.Stop()
	for range r.slots {
		select {
		case <-r.free:
		case <-late.C:
			r.fail("no answer")
			return
		}
	}
}

func (r *pumping) call(i, n int) error {
	c := r.l.make(n)
	c.Id = make([]byte, 16)
	rand.Read(c.Id)
	c.DeadlineMs = time.Now().Add(9500 * time.Millisecond).UnixMilli()
	b, err := gproto.Marshal(c)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.sent++
	r.mu.Unlock()
	r.slots[i].sent.Store(int64(time.Since(r.began)))
	return r.p.nc.PublishRequest("api."+r.p.region, r.p.inbox+"."+strconv.Itoa(i), b)
}

// answered is called by the connection, one message at a time.
func (r *pumping) answered(m *nats.Msg) {
	i, err := strconv.Atoi(m.Subject[strings.LastIndexByte(m.Subject, '.')+1:])
	if err != nil || i < 0 || i >= len(r.slots) {
		return
	}
	took := time.Since(r.began) - time.Duration(r.slots[i].sent.Load())
	var a pb.RestAnswer
	switch err := gproto.Unmarshal(m.Data, &a); {
	case len(m.Header) > 0:
		r.fail(fmt.Sprint(m.Header))
	case err != nil:
		r.fail(err.Error())
	case a.Status != 200:
		r.fail(fmt.Sprintf("%d %.200s", a.Status, a.Body))
	case r.counting.Load():
		r.mu.Lock()
		r.delays = append(r.delays, took)
		r.mu.Unlock()
	}
	r.free <- i
}

func (r *pumping) fail(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed++; len(r.errors) < 3 {
		r.errors = append(r.errors, what)
	}
}

func (r *pumping) result() (taken, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.delays)
	t := taken{delays: r.delays, wall: r.wall, errors: r.errors, failed: r.failed, sent: r.sent}
	if len(t.delays) == 0 {
		return t, errors.New("nothing was answered: " + strings.Join(t.errors, "; "))
	}
	return t, nil
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
