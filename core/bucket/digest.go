package bucket

import (
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// digest tells how far every bucket of this owner is. A bucket that is being taken over, or was lost, is in it not at all: nobody vouches
// for it, and readers ask the log.
func (o *Owner) digest() *pb.Digest {
	d := &pb.Digest{Owned: make([]byte, proto.Buckets/8)}
	for n, b := range o.buckets {
		if at := b.at.Load(); at != nil {
			d.Positions = append(d.Positions, &pb.Position{Bucket: uint32(n), Sequence: at.Sequence, Counter: at.Counter})
			d.Owned[n/8] |= 1 << (n % 8)
		} else if b.phase.Load() == phaseIdle {
			d.Owned[n/8] |= 1 << (n % 8)
		}
	}
	return d
}
