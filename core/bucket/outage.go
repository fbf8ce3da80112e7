package bucket

import (
	"log/slog"
	"sync"
	"time"
)

// outageTell is how often an outage that goes on is told of.
const outageTell = 30 * time.Second

// An outage is what an operator hears of a store that does not apply: a line when the first bucket finds out, another now and then, and one
// when all buckets go on; not one for each bucket. Any goroutine may call it.
type outage struct {
	store string

	mu          sync.Mutex
	failing     int // appliers whose last try failed
	begun, told time.Time
}

// failed tells of a try that failed; first of several in a row.
func (o *outage) failed(log *slog.Logger, first bool, sequence uint64, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	if first {
		if o.failing == 0 {
			o.begun, o.told = now, time.Time{}
		}
		o.failing++
	}
	if now.Sub(o.told) < outageTell {
		return
	}
	o.told = now
	log.Error("store does not apply, will repeat", "store", o.store, "sequence", sequence, "failing", o.failing,
		"since", now.Sub(o.begun).Round(time.Millisecond), "err", err)
}

// over tells that an applier whose tries failed goes on, or has ended.
func (o *outage) over(log *slog.Logger) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failing--; o.failing == 0 {
		log.Info("store applies again", "store", o.store, "after", time.Since(o.begun).Round(time.Millisecond))
	}
}
