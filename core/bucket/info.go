package bucket

import (
	"context"
	"errors"
	"fmt"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

// An Info says where one bucket stands, for operators.
type Info struct {
	Bucket int    `json:"bucket"`
	Phase  string `json:"phase"` // idle: never used; taking: being taken over; owned; lost: another owner has taken it; foreign: another core's

	// Of the log, as of the last acknowledged entry; zero unless owned.
	Epoch    uint64   `json:"epoch"`
	Sequence uint64   `json:"sequence"`
	Counter  uint64   `json:"counter"`
	LastID   proto.ID `json:"last_id,omitempty"`

	Commands uint64  `json:"commands"` // that came since this owner started
	Rate     float64 `json:"rate"`     // of them per second, over the last ten
	Waiting  int     `json:"waiting"`  // commands that are not yet executed

	Directory StoreInfo `json:"directory"`
	History   StoreInfo `json:"history"`
}

// A StoreInfo says how far a store has applied a bucket's log. Its checkpoint may lie below the log's end with nothing to apply: entries that
// do not concern a store move it only now and then.
type StoreInfo struct {
	Epoch    uint64 `json:"epoch"`
	Sequence uint64 `json:"sequence"`
	Counter  uint64 `json:"counter"`
	Backlog  int    `json:"backlog"` // entries it was given and has not applied
}

// Infos tells where every bucket stands. It waits for no bucket, so that a stuck one shows; where a store does not give its checkpoints there
// are zeros in their place, and the error says why.
func (o *Owner) Infos(ctx context.Context) ([]Info, error) {
	now := o.cfg.Now()
	all := make([]Info, len(o.buckets))
	for n, b := range o.buckets {
		all[n] = b.info(now.Unix())
	}
	return all, errors.Join(
		checkpoints(ctx, "directory", o.cfg.Directory.Checkpoints, func(n int) *StoreInfo { return &all[n].Directory }),
		checkpoints(ctx, "history", o.cfg.History.Checkpoints, func(n int) *StoreInfo { return &all[n].History }))
}

// A Sum adds up the buckets of an owner; no store is asked for it.
type Sum struct {
	Phases    map[string]int `json:"phases"`   // how many buckets are in which
	Commands  uint64         `json:"commands"` // that came since this owner started, to buckets that it has now
	Rate      float64        `json:"rate"`     // of them per second, over the last ten
	Waiting   int            `json:"waiting"`
	Directory int            `json:"directory"` // entries that it was given and has not applied
	History   int            `json:"history"`
}

// Sum may be asked at any time; it waits for no bucket.
func (o *Owner) Sum() Sum {
	s := Sum{Phases: map[string]int{}}
	now := o.cfg.Now().Unix()
	for _, b := range o.buckets {
		i := b.info(now)
		s.Phases[i.Phase]++
		s.Waiting += i.Waiting
		s.Directory += i.Directory.Backlog
		s.History += i.History.Backlog
		if i.Phase != "foreign" {
			s.Commands += i.Commands
			s.Rate += i.Rate
		}
	}
	return s
}

// Name is the owner's, as its configuration has it.
func (o *Owner) Name() string { return o.cfg.Name }

func checkpoints(ctx context.Context, store string, list func(context.Context) ([]core.Checkpoint, error), of func(int) *StoreInfo) error {
	all, err := list(ctx)
	if err != nil {
		return fmt.Errorf("%s: checkpoints: %w", store, err)
	}
	for _, c := range all {
		if c.Bucket >= 0 && c.Bucket < proto.Buckets {
			i := of(c.Bucket)
			i.Epoch, i.Sequence, i.Counter = c.Epoch, c.Sequence, c.Counter
		}
	}
	return nil
}

// info may be called by any goroutine.
func (b *bucket) info(second int64) Info {
	i := Info{Bucket: b.n, Phase: [...]string{"idle", "taking", "owned", "lost", "foreign"}[b.phase.Load()]}
	if at := b.at.Load(); at != nil {
		i.Epoch, i.Sequence, i.Counter, i.LastID = at.Epoch, at.Sequence, at.Counter, at.LastID
	}
	if s := b.stores.Load(); s != nil {
		i.Directory.Backlog, i.History.Backlog = s.dir.backlog(), s.hist.backlog()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	i.Commands, i.Rate, i.Waiting = b.meter.total, b.meter.rate(second), len(b.queue)+int(b.nheld.Load())
	return i
}

// stores are the appliers of a bucket in use.
type stores struct{ dir, hist *applier }

// meterSeconds is how many whole seconds a rate is taken over.
const meterSeconds = 10

// A meter counts what happens, and how often of late.
type meter struct {
	total   uint64
	seconds [meterSeconds + 1]struct {
		at int64
		n  uint32
	}
}

func (m *meter) add(second int64) {
	m.total++
	s := &m.seconds[second%int64(len(m.seconds))]
	if s.at != second {
		s.at, s.n = second, 0
	}
	s.n++
}

// rate is over the whole seconds before this one.
func (m *meter) rate(second int64) float64 {
	sum := 0.0
	for _, s := range m.seconds {
		if s.at < second && s.at >= second-meterSeconds {
			sum += float64(s.n)
		}
	}
	return sum / meterSeconds
}
