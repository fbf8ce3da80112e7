package journal

import (
	"cmp"

	"github.com/starling-chat/starling/proto/pb"
)

// Compare orders two positions of one bucket: below zero if a client at a has less than one at b.
func Compare(a, b *pb.ResumePosition) int {
	return cmp.Or(cmp.Compare(a.Sequence, b.Sequence), cmp.Compare(a.Events, b.Events), cmp.Compare(a.Frames, b.Frames))
}

// behind is the position of who has all of a bucket up to a sequence.
func behind(bucket uint32, sequence uint64) *pb.ResumePosition {
	return &pb.ResumePosition{Bucket: bucket, Sequence: sequence + 1}
}
