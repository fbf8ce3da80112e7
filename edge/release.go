package edge

import (
	"context"
	"errors"
	"time"

	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

const (
	releasesAtOnce = 64
	releaseWait    = 1500 * time.Millisecond // for the journal; the core asks for 2 s
)

// answerRelease closes a session that resumes elsewhere, and says how far the edge has numbered once that is journaled.
func (l *loop) answerRelease(ctx context.Context, body []byte) []byte {
	var call pb.ReleaseCall
	if gproto.Unmarshal(body, &call) != nil {
		return nil
	}
	answer := &pb.ReleaseAnswer{}
	if l.journal == nil || call.Boot != l.journal.Boot() {
		answer.Gone = true
	} else {
		ctx, cancel := context.WithTimeout(ctx, releaseWait)
		defer cancel()
		index, err := l.written(ctx, func() int64 { return l.letGo(call.Session, call.N) })
		switch {
		case errors.Is(err, errStopped):
			answer.Gone = true // nothing is numbered here any more
		case err != nil:
			return nil // no answer
		default:
			answer.Index, answer.Pending = index, l.journal.WaitAcked(ctx, index) != nil
		}
	}
	out, err := gproto.Marshal(answer)
	if err != nil {
		return nil // numbers
	}
	return out
}

// letGo ends a session here, and gives the number that is current. One that is on its way here, and of which nobody has told yet that it is noted, ends
// where the one who asks knows it from the registry; else that one has read what was before, and either of the two will lose the next write.
func (l *loop) letGo(key, n uint64) int64 {
	if s := l.byKey[key]; s != nil && (s.held == nil || s.held.noted || s.held.answer.N == n) {
		l.taken.Add(1)
		l.closeSession(s, proto.CloseUnknown)
	}
	return l.index
}
