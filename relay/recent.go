package relay

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/starling-chat/starling/proto/pb"
)

const (
	recentEntries = 128
	recentBytes   = 64 << 10 // of their bodies

	wantedFor     = time.Minute // that a bucket of which somebody wanted the past keeps more of it: others of a herd come for half a minute
	wantedEntries = 16 << 10
	wantedBytes   = 16 << 20
	wantedTotal   = 256 << 20 // of all buckets of a reader, beyond what each has anyway
)

// recent are the last entries of a bucket that were applied here. When an edge dies, the many who come from it lack what was said in the last
// seconds in the same buckets, and need not each ask the log for it.
type recent struct {
	floor, last uint64 // every entry above floor, up to last, is there
	entries     []logged
	bytes       int
	wanted      time.Time // when somebody asked for a part last
	total       *atomic.Int64
	counted     int64 // of these bytes, in total
}

// add takes the entry behind at. Where that is not the last one, the reader began anew.
func (c *recent) add(at, seq uint64, e *pb.Entry) {
	if at != c.last {
		c.floor, c.entries, c.bytes = at, nil, 0
	}
	c.entries, c.last, c.bytes = append(c.entries, logged{seq, e}), seq, c.bytes+bodies(e)
	c.trim()
}

// trim forgets what is too much.
func (c *recent) trim() {
	mostEntries, mostBytes := recentEntries, recentBytes
	if !c.wanted.IsZero() && time.Since(c.wanted) < wantedFor && c.total.Load() < wantedTotal {
		mostEntries, mostBytes = wantedEntries, wantedBytes
	}
	n := 0
	for len(c.entries)-n > mostEntries || c.bytes > mostBytes {
		c.floor, c.bytes = c.entries[n].sequence, c.bytes-bodies(c.entries[n].entry)
		n++
	}
	if n > 0 {
		clear(c.entries[:n])
		c.entries = c.entries[n:]
	}
	c.count(c.bytes)
}

// count tells the reader how much more a bucket has than it would have if nobody wanted it.
func (c *recent) count(bytes int) {
	extra := int64(max(0, bytes-recentBytes))
	c.total.Add(extra - c.counted)
	c.counted = extra
}

// between gives the entries above from, up to and including to, as far as all are here: up to and including reached.
func (c *recent) between(from, to uint64) (list []logged, reached uint64) {
	to = min(to, c.last)
	if from < c.floor || from >= to {
		return nil, from
	}
	above := func(seq uint64) int {
		i, _ := slices.BinarySearchFunc(c.entries, seq+1, func(l logged, s uint64) int { return cmp.Compare(l.sequence, s) })
		return i
	}
	return slices.Clone(c.entries[above(from):above(to)]), to
}

// extend takes in what somebody read from the log: all entries above from, up to and including to, in order. It does so only where they meet what is
// here, of one incarnation, and there is room.
func (c *recent) extend(from, to uint64, list []logged) {
	if from >= c.floor || to < c.floor || len(list) == 0 || len(c.entries) == 0 || list[0].entry.Incarnation != c.entries[0].entry.Incarnation {
		return
	}
	n, size := 0, 0
	for n < len(list) && list[n].sequence <= c.floor {
		size += bodies(list[n].entry)
		n++
	}
	if len(c.entries)+n > wantedEntries || c.bytes+size > wantedBytes || c.total.Load()+int64(size) > wantedTotal {
		return
	}
	c.entries, c.floor, c.bytes = slices.Concat(list[:n], c.entries), from, c.bytes+size
	c.count(c.bytes)
}

func bodies(e *pb.Entry) int {
	n := 64
	for _, ev := range e.Events {
		n += 64 + len(ev.Body)
	}
	return n
}
