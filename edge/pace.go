package edge

import (
	"sync/atomic"
	"time"
)

// paceSeconds is how long a pace is taken over.
const paceSeconds = 10

// A pace is how fast a count rises. The loop marks it; any goroutine may ask.
type pace struct {
	total atomic.Int64
	rate  atomic.Int64 // per 1000 s, as of the last mark

	// The loop's.
	marks [paceSeconds + 1]struct {
		at    time.Time
		total int64
	}
	n int
}

func (p *pace) add(n int) { p.total.Add(int64(n)) }

// mark is called each second or so.
func (p *pace) mark(now time.Time) {
	total := p.total.Load()
	p.marks[p.n%len(p.marks)].at, p.marks[p.n%len(p.marks)].total = now, total
	oldest := &p.marks[max(0, p.n-paceSeconds)%len(p.marks)]
	p.n++
	if since := now.Sub(oldest.at); since > 0 {
		p.rate.Store((total - oldest.total) * 1000 * int64(time.Second) / int64(since))
	}
}

// perSecond is the rate over the last ten seconds.
func (p *pace) perSecond() float64 { return float64(p.rate.Load()) / 1000 }
