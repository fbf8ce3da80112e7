package relay

import (
	"cmp"
	"slices"

	"github.com/starling-chat/starling/proto/pb"
)

const (
	recentEntries = 128
	recentBytes   = 64 << 10 // of their bodies
)

// recent are the last entries of a bucket that were applied here. When an edge dies, the many who come from it lack what was said in the last
// seconds in the same buckets, and need not each ask the log for it.
type recent struct {
	floor, last uint64 // every entry above floor, up to last, is there
	entries     []logged
	bytes       int
}

// add takes the entry behind at. Where that is not the last one, the reader began anew.
func (c *recent) add(at, seq uint64, e *pb.Entry) {
	if at != c.last {
		*c = recent{floor: at}
	}
	c.entries, c.last, c.bytes = append(c.entries, logged{seq, e}), seq, c.bytes+bodies(e)
	n := 0
	for len(c.entries)-n > recentEntries || c.bytes > recentBytes {
		c.floor, c.bytes = c.entries[n].sequence, c.bytes-bodies(c.entries[n].entry)
		n++
	}
	if n > 0 {
		clear(c.entries[:n])
		c.entries = c.entries[n:]
	}
}

// between gives the entries above from, up to and including to; false if some of them may not be here.
func (c *recent) between(from, to uint64) ([]logged, bool) {
	if from < c.floor || to > c.last || c.last == 0 {
		return nil, false
	}
	above := func(seq uint64) int {
		i, _ := slices.BinarySearchFunc(c.entries, seq+1, func(l logged, s uint64) int { return cmp.Compare(l.sequence, s) })
		return i
	}
	return slices.Clone(c.entries[above(from):above(to)]), true
}

func bodies(e *pb.Entry) int {
	n := 64
	for _, ev := range e.Events {
		n += 64 + len(ev.Body)
	}
	return n
}
