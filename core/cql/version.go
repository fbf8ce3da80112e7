package cql

import (
	"fmt"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// Bits of a stamp: 63, as CQL's timestamps are signed and negative ones are better left alone.
const (
	counterBits = 40
	epochBits   = 63 - counterBits
)

// windowMillis is how much time one partition of messages spans: 10 days.
const windowMillis = 10 * 24 * 60 * 60 * 1000

// maxID is the highest id that CQL's bigint holds.
const maxID = proto.ID(1<<63 - 1)

// stamp is the CQL timestamp of all writes of an entry. It orders them as (epoch, counter) does.
func stamp(e *pb.Entry) (int64, error) {
	if e.GetEpoch() >= 1<<epochBits-1 || e.GetCounter() >= 1<<counterBits {
		return 0, fmt.Errorf("version (%d, %d) is beyond what a timestamp holds", e.GetEpoch(), e.GetCounter())
	}
	return int64(e.GetEpoch()<<counterBits | e.GetCounter()), nil
}

// windowOf tells which window of its channel a message is in. Windows rise with ids.
func windowOf(id proto.ID) int { return int(uint64(id) >> 22 / windowMillis) }

// windowSpan is the lowest and the highest id of a window.
func windowSpan(window int) (low, high proto.ID) {
	return proto.ID(uint64(window) * windowMillis << 22), proto.ID(uint64(window+1)*windowMillis<<22 - 1)
}
