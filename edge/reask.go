package edge

import (
	"context"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// identifyAgain is how often a core is asked once more because something was told meanwhile.
const identifyAgain = 3

// tells says whether the user was told something that READY does not show yet. Behind READY it would have numbers that no journal explains.
func (p *pending) tells(m identified) bool {
	for _, b := range p.kept {
		if b.sequence > m.answer.User.Sequence && b.event.Type != "" && b.event.Type[0] != '_' {
			return true
		}
	}
	for _, b := range p.direct {
		for _, d := range m.directs {
			if d.channel == proto.ID(b.event.Channel) && d.snapshot != nil && b.sequence > d.snapshot.Sequence {
				return true
			}
		}
	}
	return false
}

// again asks for what the user has now, and ends the identify with that.
func (m identified) again(l *loop) {
	p := m.pending
	m.asked++
	l.task(func(ctx context.Context) {
		asking, cancel := context.WithTimeout(ctx, identifyTimeout)
		defer cancel()
		ans, err := l.cores.identify(asking, p.token, nil)
		if m.err = err; err == nil {
			m.answer.User = ans.User
			l.askSnapshots(asking, ans.User, m.directs)
		}
		if !l.post(m) {
			l.releaseDirects(m.directs)
			if m.held {
				l.interest.release(p.user.Bucket())
			}
		}
	})
}

// shows is how far in the log READY is: the user's bucket, and those of the direct channels that it lists.
func (l *loop) shows(s *session) (at []*pb.JournalEvent) {
	at = append(at, l.here(s.bucket))
	for id := range s.directs {
		if id.Bucket() != s.bucket {
			at = append(at, l.here(id.Bucket()))
		}
	}
	return at
}
