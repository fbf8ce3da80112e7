package ownership

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
)

// ErrMoving says that something is under way which has to end first: try again.
var ErrMoving = errors.New("it, or as many others as may, are being moved")

// Leave gives all buckets away and returns when that is done, nobody else is there to take them, or ctx ends. Run goes on: what this core is
// still asked it answers, or sends on.
func (c *Claims) Leave(ctx context.Context) error {
	c.mu.Lock()
	c.leaving = true
	alone := len(c.candidatesLocked()) == 0
	c.mu.Unlock()
	if alone {
		return nil
	}
	c.beat(false)
	c.nudge()
	select {
	case <-c.left:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("ownership: leave: %w", ctx.Err())
	}
}

// Drain begins to give all buckets away, for as long as this core lives or until Stay: it owns none while others can.
func (c *Claims) Drain() error {
	c.mu.Lock()
	others := slices.DeleteFunc(c.candidatesLocked(), func(h holder) bool { return h == c.me })
	switch {
	case c.leaving:
		c.mu.Unlock()
		return errors.New("stops already")
	case !c.drained && len(others) == 0:
		c.mu.Unlock()
		return errors.New("is the only core that takes part: nobody could take its buckets")
	}
	c.drained = true
	c.mu.Unlock()
	c.log.Info("drains by an operator's wish")
	c.beat(false)
	c.nudge()
	return nil
}

// Stay ends what Drain began: buckets come back by and by.
func (c *Claims) Stay() error {
	c.mu.Lock()
	if c.leaving {
		c.mu.Unlock()
		return errors.New("stops already")
	}
	c.drained = false
	c.mu.Unlock()
	c.log.Info("takes part again by an operator's wish")
	c.beat(false)
	c.nudge()
	return nil
}

// Move begins to give a bucket to a core by an operator's wish: it stays there for as long as that core lives, or until it is moved again. To
// move what is there already only makes it stay.
func (c *Claims) Move(ctx context.Context, n int, to string) error {
	if to == c.me.core {
		return c.pin(ctx, n, true)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.members[to]
	switch {
	case n < 0 || n >= proto.Buckets:
		return fmt.Errorf("bucket %d: want 0 to %d", n, proto.Buckets-1)
	case m == nil:
		return fmt.Errorf("core %q: not one that lives; there are %s", to, strings.Join(c.namesLocked(), ", "))
	case m.leaving:
		return fmt.Errorf("core %q: it is drained, or stops", to)
	case !c.table[n].mine:
		return fmt.Errorf("bucket %d: core %q has it", n, c.table[n].by.core)
	case c.running == nil || c.running.Err() != nil:
		return errors.New("stops already")
	case c.table[n].busy || !c.moveLocked(c.running, n, m.holder, true): // beyond ctx
		return fmt.Errorf("bucket %d: %w", n, ErrMoving)
	}
	return nil
}

// Free has a bucket of this core go where hashing wants it, whatever an operator said before.
func (c *Claims) Free(ctx context.Context, n int) error { return c.pin(ctx, n, false) }

// pin writes into the record of a bucket of this core whether it is to stay.
func (c *Claims) pin(ctx context.Context, n int, pinned bool) error {
	if n < 0 || n >= proto.Buckets {
		return fmt.Errorf("bucket %d: want 0 to %d", n, proto.Buckets-1)
	}
	c.mu.Lock()
	e := &c.table[n]
	var err error
	switch {
	case pinned && (c.leaving || c.drained):
		err = fmt.Errorf("core %q: it is drained, or stops", c.me.core)
	case !e.mine:
		err = fmt.Errorf("bucket %d: core %q has it", n, e.by.core)
	case e.busy:
		err = fmt.Errorf("bucket %d: %w", n, ErrMoving)
	}
	if err != nil || e.pinned == pinned {
		c.mu.Unlock()
		return err
	}
	e.busy = true
	revision := e.revision
	c.mu.Unlock()
	at, err := c.put(ctx, n, &pb.Owner{Core: c.me.core, Boot: c.me.boot, Pinned: pinned}, revision)
	c.update(n, func(e *entry) {
		e.busy = false
		if err == nil && e.held == revision {
			e.held = at
		}
		if err == nil && at > e.revision {
			e.by, e.pinned, e.revision = c.me, pinned, at
		}
	})
	c.nudge()
	if errors.Is(err, relay.ErrConflict) {
		return fmt.Errorf("bucket %d: its record has changed meanwhile: %w", n, ErrMoving)
	}
	if err != nil {
		return fmt.Errorf("bucket %d: record: %w", n, err)
	}
	return nil
}

// Owners tells which core's each bucket is by its record; "" is nobody's.
func (c *Claims) Owners() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]string, len(c.table))
	for n, e := range c.table {
		all[n] = e.by.core
	}
	return all
}

// A Status says how a core takes part.
type Status struct {
	Leaving bool     `json:"leaving"` // stops
	Drained bool     `json:"drained"` // by an operator
	Owned   int      `json:"owned"`
	Pinned  int      `json:"pinned"` // of those, by an operator
	Moving  int      `json:"moving"` // of those, to another core
	Cores   []string `json:"cores"`  // the others that it hears
}

// Status may be asked at any time.
func (c *Claims) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Status{Leaving: c.leaving, Drained: c.drained, Moving: len(c.moves), Cores: c.namesLocked()}
	for _, e := range c.table {
		if e.mine {
			s.Owned++
			if e.pinned {
				s.Pinned++
			}
		}
	}
	return s
}

// namesLocked are those of the other cores.
func (c *Claims) namesLocked() []string {
	names := make([]string, 0, len(c.members))
	for name := range c.members {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// A Place says where one bucket is, by its record.
type Place struct {
	Core   string `json:"core"`   // "": nobody's
	Pinned bool   `json:"pinned"` // an operator put it there
	Mine   bool   `json:"mine"`   // the core that is asked serves it, and nothing is under way
	Wanted string `json:"wanted"` // by hashing; "": there is nobody who could
}

// Place tells where a bucket is.
func (c *Claims) Place(n int) Place {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.table[n]
	want, _ := wanted(n, c.candidatesLocked())
	return Place{Core: e.by.core, Pinned: e.pinned, Mine: e.mine && !e.busy, Wanted: want.core}
}
