package proto

import (
	"errors"
	"fmt"
	"time"

	"github.com/bwmarrin/snowflake"
)

// Lead is how far ids may run ahead of the log's own time.
const Lead = time.Second

// ErrClock tells that no id may be issued now: the clock, or the last id, leads the log by more than Lead.
var ErrClock = errors.New("clock leads the log")

// The layout of ids is the library's own (41 bits of time, 10 of node, 12 of step), with Discord's epoch, and the node is the bucket.
// Issuing is ours: snowflake.Node steps back with the clock, spins when a millisecond is full, and knows no floor, so two owners of a
// bucket, one after the other, could issue the same id.
func init() { snowflake.Epoch = Epoch }

// MakeID composes an id; only the low bits of bucket and step count.
func MakeID(t time.Time, bucket, step int) ID { return makeID(millis(t), bucket, step) }

func makeID(ms int64, bucket, step int) ID {
	node := int64(bucket) & (Buckets - 1)
	low := int64(step) & (1<<snowflake.StepBits - 1)
	return ID(snowflake.ParseInt64(ms<<(snowflake.NodeBits+snowflake.StepBits) | node<<snowflake.StepBits | low))
}

// Step is the id's place among those of the same bucket and millisecond.
func (id ID) Step() int { return int(snowflake.ID(id).Step()) }

// millis since Epoch, never negative.
func millis(t time.Time) int64 { return max(t.UnixMilli()-Epoch, 0) }

// An Issuer issues the ids of one bucket, strictly rising. It belongs to one goroutine.
type Issuer struct {
	bucket int
	last   ID
}

// NewIssuer goes on above floor, the highest id that the bucket's log or a checkpoint knows; 0 = none.
func NewIssuer(bucket int, floor ID) *Issuer { return &Issuer{bucket: bucket, last: floor} }

// Last is the highest id issued, or the floor.
func (i *Issuer) Last() ID { return i.last }

// Next is the next (time, step) not below the last, whatever the clock says: a clock that steps back stands still here. A clock that runs
// ahead of the log's own time by more than Lead gets ErrClock, and so does a floor that does.
func (i *Issuer) Next(now, log time.Time) (ID, error) {
	ms, step := millis(now), 0
	if last := int64(i.last >> 22); i.last != 0 && last >= ms {
		ms, step = last, i.last.Step()+1
		if step >= 1<<snowflake.StepBits {
			ms, step = ms+1, 0
		}
	}
	if bound := millis(log.Add(Lead)); ms > bound {
		return 0, fmt.Errorf("bucket %d: id %d ms beyond the bound: %w", i.bucket, ms-bound, ErrClock)
	}
	id := makeID(ms, i.bucket, step)
	if id == 0 { // only at the epoch itself
		id = makeID(0, i.bucket, 1)
	}
	i.last = id
	return id, nil
}
