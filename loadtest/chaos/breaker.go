package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"

	"github.com/starling-chat/starling/deploy/servers"
	"github.com/starling-chat/starling/loadtest/mesh"
)

// A breaker does what a plan says. It signals only processes that the lab's own mesh and servers started.
type breaker struct {
	mesh   *mesh.Mesh
	stores map[string]*servers.Server
	links  links
	ears   []*ear // clients whose sockets may be cut
	clerk  *clerk
	rnd    *rand.Rand

	wg    sync.WaitGroup // what passes by itself
	began time.Time

	mu   sync.Mutex
	done []Done
}

// Done is a fault of the plan that came about.
type Done struct {
	Fault
	Began time.Duration // after the load began
	Ended time.Duration // when it was over, as far as the lab does it; 0 where it is not
	Err   error         // it could not be done
}

// run carries out a plan; it returns when the last fault has passed. tell hears of each as it begins.
func (b *breaker) run(ctx context.Context, p Plan, tell func(Done)) {
	defer b.wg.Wait()
	for _, f := range p {
		if !pause(ctx, time.Until(b.began.Add(f.At))) {
			return
		}
		b.mu.Lock()
		i := len(b.done)
		b.done = append(b.done, Done{Fault: f, Began: time.Since(b.began)})
		b.mu.Unlock()
		end, err := b.do(ctx, f)
		b.mu.Lock()
		b.done[i].Err = err
		d := b.done[i]
		b.mu.Unlock()
		tell(d)
		b.wg.Go(func() {
			if end != nil && err == nil {
				err = end()
			}
			b.mu.Lock()
			b.done[i].Ended = time.Since(b.began)
			if b.done[i].Err == nil {
				b.done[i].Err = err
			}
			b.mu.Unlock()
		})
	}
}

// do begins a fault; end waits until it has passed.
func (b *breaker) do(ctx context.Context, f Fault) (end func() error, err error) {
	after := func(undo func() error) func() error { return func() error { pause(ctx, f.For); return undo() } }
	switch f.Kind {
	case Kill, Stop, Drain:
		if s := b.stores[f.Target]; s != nil {
			if f.Kind == Kill {
				return s.Again, s.Kill()
			}
			return after(func() error { return s.Signal(syscall.SIGCONT) }), s.Signal(syscall.SIGSTOP)
		}
		pid, err := b.pid(ctx, f.Target)
		if err != nil {
			return nil, err
		}
		switch f.Kind {
		case Kill:
			return nil, syscall.Kill(pid, syscall.SIGKILL)
		case Drain:
			return nil, syscall.Kill(pid, syscall.SIGTERM)
		}
		return after(func() error {
			if err := syscall.Kill(pid, syscall.SIGCONT); !errors.Is(err, syscall.ESRCH) {
				return err
			}
			return nil // killed meanwhile
		}), syscall.Kill(pid, syscall.SIGSTOP)
	case Cut, Slow, HalfOpen:
		l := b.links.of(f.Target)
		l.set(f.Kind)
		return after(func() error { l.set(""); return nil }), nil
	case Sockets:
		var wg sync.WaitGroup
		for _, i := range b.rnd.Perm(len(b.ears))[:(len(b.ears)*f.Count+99)/100] {
			wg.Go(b.ears[i].cut)
		}
		wg.Wait()
	case Rights:
		return func() error { b.clerk.flip(ctx, f.Target, f.Count, f.For); return nil }, nil
	}
	return nil, nil
}

// pidWait is how long a role that is being started may have no process.
const pidWait = 8 * time.Second

// pid is the process of a role, now.
func (b *breaker) pid(ctx context.Context, name string) (int, error) {
	for begun := time.Now(); ; {
		roles, err := b.mesh.Roles()
		for _, r := range roles {
			if r.Name == name && r.PID > 0 {
				return r.PID, nil
			}
		}
		if time.Since(begun) > pidWait || !pause(ctx, 20*time.Millisecond) {
			return 0, fmt.Errorf("%s has no process: %w", name, errors.Join(err, ctx.Err()))
		}
	}
}

// all is what was done.
func (b *breaker) all() []Done {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Done(nil), b.done...)
}
