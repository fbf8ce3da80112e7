package journal

import (
	"cmp"
	"slices"

	"github.com/starling-chat/starling/proto/pb"
)

// A Position is how far a client is in one bucket: a pb.ResumePosition by value, since a journal has one of each bucket that its edge followed.
type Position struct {
	Bucket         uint32
	Sequence       uint64
	Events, Frames uint32
}

// Compare orders two positions of one bucket: below zero if a client at a has less than one at b.
func Compare(a, b Position) int {
	return cmp.Or(cmp.Compare(a.Sequence, b.Sequence), cmp.Compare(a.Events, b.Events), cmp.Compare(a.Frames, b.Frames))
}

// behind is the position of who has all of a bucket up to a sequence.
func behind(bucket uint32, sequence uint64) Position {
	return Position{Bucket: bucket, Sequence: sequence + 1}
}

// Of gives positions by value.
func Of(list []*pb.ResumePosition) []Position {
	out := make([]Position, len(list))
	for i, p := range list {
		out[i] = Position{p.Bucket, p.Sequence, p.Events, p.Frames}
	}
	return out
}

// Pack puts positions, which are in order, into a message.
func Pack(list []Position) *pb.ResumePositions {
	out := &pb.ResumePositions{Buckets: make([]uint32, len(list)), Sequences: make([]uint64, len(list)), Events: make([]uint32, len(list)),
		Frames: make([]uint32, len(list))}
	for i, p := range list {
		out.Buckets[i], out.Sequences[i], out.Events[i], out.Frames[i] = p.Bucket, p.Sequence, p.Events, p.Frames
	}
	return out
}

// Find gives the position of a bucket out of a message; nil if it has none, or is not one that Pack made.
func Find(in *pb.ResumePositions, bucket int) *pb.ResumePosition {
	i, found := slices.BinarySearch(in.GetBuckets(), uint32(bucket))
	if !found || i >= min(len(in.Sequences), len(in.Events), len(in.Frames)) {
		return nil
	}
	return &pb.ResumePosition{Bucket: uint32(bucket), Sequence: in.Sequences[i], Events: in.Events[i], Frames: in.Frames[i]}
}
