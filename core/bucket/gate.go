package bucket

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

const (
	gateMemory = time.Second            // that a store that did not answer is not asked again
	gateProbe  = 250 * time.Millisecond // that the next who asks waits
	// What one read may cost before the gate shuts, and with it everybody who waits for the bucket: sends are to be answered within 400 ms.
	// Lists of the directory have readTimeout.
	historyRead   = 300 * time.Millisecond
	directoryRead = 500 * time.Millisecond
)

// A gate keeps buckets from waiting for a store that does not answer: a bucket that reads does nothing else, so an edit of one message must
// not hold up everybody's sends. While the gate is shut, reads fail at once; now and then one is let through, briefly, and opens it again.
// The API repeats what fails this way. Any goroutine may call it.
type gate struct {
	mu    sync.Mutex
	shut  bool
	until time.Time
}

// enter tells whether a read may be tried, and whether it is one that only tries the store.
func (g *gate) enter() (probe, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.shut {
		return false, true
	}
	if time.Now().Before(g.until) {
		return false, false
	}
	g.until = time.Now().Add(gateMemory) // for the others
	return true, true
}

func (g *gate) note(answered bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = !answered
	g.until = time.Now().Add(gateMemory)
}

// errGate stands for a store that is known not to answer.
var errGate = fmt.Errorf("%w: it did not answer a moment ago", core.ErrAway)

// through makes one read of a store behind the gate.
func through[T any](ctx context.Context, g *gate, limit time.Duration, read func(context.Context) (T, error)) (T, error) {
	probe, ok := g.enter()
	if !ok {
		gatedTotal.Inc()
		var none T
		return none, errGate
	}
	if probe {
		limit = gateProbe
	}
	asking, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	v, err := read(asking)
	switch {
	case core.Away(err), errors.Is(err, context.DeadlineExceeded):
		g.note(false)
		err = fmt.Errorf("%w: %w", core.ErrAway, err)
	case !errors.Is(err, context.Canceled): // the owner stops: that says nothing of the store
		g.note(true)
	}
	return v, err
}

// A gatedDirectory is what buckets read of the directory while they execute.
type gatedDirectory struct {
	core.Directory
	gate *gate
}

func (d gatedDirectory) Guild(ctx context.Context, id proto.ID) (proto.Guild, error) {
	return through(ctx, d.gate, directoryRead, func(ctx context.Context) (proto.Guild, error) {
		return d.Directory.Guild(ctx, id)
	})
}

func (d gatedDirectory) Member(ctx context.Context, guild, user proto.ID) (proto.Member, error) {
	return through(ctx, d.gate, directoryRead, func(ctx context.Context) (proto.Member, error) {
		return d.Directory.Member(ctx, guild, user)
	})
}

func (d gatedDirectory) Members(ctx context.Context, guild, after proto.ID, limit int) ([]proto.Member, error) {
	return through(ctx, d.gate, readTimeout, func(ctx context.Context) ([]proto.Member, error) {
		return d.Directory.Members(ctx, guild, after, limit)
	})
}

func (d gatedDirectory) User(ctx context.Context, id proto.ID) (proto.User, error) {
	return through(ctx, d.gate, directoryRead, func(ctx context.Context) (proto.User, error) {
		return d.Directory.User(ctx, id)
	})
}

func (d gatedDirectory) GuildsOf(ctx context.Context, user proto.ID) ([]proto.ID, error) {
	return through(ctx, d.gate, readTimeout, func(ctx context.Context) ([]proto.ID, error) {
		return d.Directory.GuildsOf(ctx, user)
	})
}

func (d gatedDirectory) ListedDirects(ctx context.Context, user proto.ID) ([]core.ListedDirect, error) {
	return through(ctx, d.gate, readTimeout, func(ctx context.Context) ([]core.ListedDirect, error) {
		return d.Directory.ListedDirects(ctx, user)
	})
}

func (d gatedDirectory) Direct(ctx context.Context, channel proto.ID) (core.Direct, error) {
	return through(ctx, d.gate, directoryRead, func(ctx context.Context) (core.Direct, error) {
		return d.Directory.Direct(ctx, channel)
	})
}

func (d gatedDirectory) Ban(ctx context.Context, guild, user proto.ID) (proto.Ban, error) {
	return through(ctx, d.gate, directoryRead, func(ctx context.Context) (proto.Ban, error) {
		return d.Directory.Ban(ctx, guild, user)
	})
}

func (d gatedDirectory) Prunable(ctx context.Context, guild proto.ID, q core.PruneQuery, limit int) ([]proto.Member, error) {
	return through(ctx, d.gate, readTimeout, func(ctx context.Context) ([]proto.Member, error) {
		return d.Directory.Prunable(ctx, guild, q, limit)
	})
}

func (d gatedDirectory) Invite(ctx context.Context, code string, now time.Time) (proto.Invite, error) {
	return through(ctx, d.gate, directoryRead, func(ctx context.Context) (proto.Invite, error) {
		return d.Directory.Invite(ctx, code, now)
	})
}

func (d gatedDirectory) Relationships(ctx context.Context, user proto.ID) ([]proto.Relationship, error) {
	return through(ctx, d.gate, readTimeout, func(ctx context.Context) ([]proto.Relationship, error) {
		return d.Directory.Relationships(ctx, user)
	})
}

func (d gatedDirectory) Account(ctx context.Context, id proto.ID) (core.Account, error) {
	return through(ctx, d.gate, directoryRead, func(ctx context.Context) (core.Account, error) {
		return d.Directory.Account(ctx, id)
	})
}

// A gatedHistory is what buckets read of the history while they execute.
type gatedHistory struct {
	core.History
	gate *gate
}

func (h gatedHistory) Message(ctx context.Context, channel, id proto.ID) (proto.Message, error) {
	return through(ctx, h.gate, historyRead, func(ctx context.Context) (proto.Message, error) {
		return h.History.Message(ctx, channel, id)
	})
}

func (h gatedHistory) Before(ctx context.Context, channel, before proto.ID, n int) ([]proto.Message, error) {
	return through(ctx, h.gate, historyRead, func(ctx context.Context) ([]proto.Message, error) {
		return h.History.Before(ctx, channel, before, n)
	})
}

func (h gatedHistory) After(ctx context.Context, channel, after proto.ID, n int) ([]proto.Message, error) {
	return through(ctx, h.gate, historyRead, func(ctx context.Context) ([]proto.Message, error) {
		return h.History.After(ctx, channel, after, n)
	})
}

func (h gatedHistory) LastID(ctx context.Context, channel proto.ID) (proto.ID, error) {
	return through(ctx, h.gate, historyRead, func(ctx context.Context) (proto.ID, error) {
		return h.History.LastID(ctx, channel)
	})
}

func (h gatedHistory) Pins(ctx context.Context, channel proto.ID) ([]core.Pin, error) {
	return through(ctx, h.gate, historyRead, func(ctx context.Context) ([]core.Pin, error) {
		return h.History.Pins(ctx, channel)
	})
}

func (h gatedHistory) Reactions(ctx context.Context, channel proto.ID, messages []proto.ID) (map[proto.ID][]core.Tally, error) {
	return through(ctx, h.gate, historyRead, func(ctx context.Context) (map[proto.ID][]core.Tally, error) {
		return h.History.Reactions(ctx, channel, messages)
	})
}

func (h gatedHistory) Reacted(ctx context.Context, channel proto.ID, rounds []proto.ID, user proto.ID) (map[proto.ID]bool, error) {
	return through(ctx, h.gate, historyRead, func(ctx context.Context) (map[proto.ID]bool, error) {
		return h.History.Reacted(ctx, channel, rounds, user)
	})
}
