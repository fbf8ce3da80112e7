package edge

import (
	"context"
	"errors"
	"time"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

const (
	holdEvery = 100 * time.Second // resume.md, rule 12
	holdBatch = 500
)

// hold tells the cores which moved sessions are still here, so that their records are kept; a session whose record says that it is elsewhere is
// closed here.
func (l *loop) hold(now time.Time) {
	if l.journal == nil || l.holding || now.Sub(l.heldAt) < holdEvery {
		return
	}
	l.heldAt = now
	var calls []*pb.HoldCall
	for _, s := range l.sessions {
		if s.record == nil || s.held != nil {
			continue
		}
		if n := len(calls); n == 0 || len(calls[n-1].Records) == holdBatch {
			calls = append(calls, &pb.HoldCall{})
		}
		last := calls[len(calls)-1]
		last.Records = append(last.Records, s.record)
	}
	if len(calls) == 0 {
		return
	}
	l.holding = true
	l.task(func(ctx context.Context) {
		m := stillHere{}
		for _, call := range calls {
			ctx, cancel := context.WithTimeout(ctx, identifyTimeout)
			ans := new(pb.HoldAnswer)
			err := l.cores.ask(ctx, "hold", call, ans, func() error {
				if ans.Error != "" {
					return errors.New(ans.Error)
				}
				return nil
			})
			cancel()
			if err != nil {
				l.log.Warn("sessions not held", "sessions", len(call.Records), "err", err)
				continue
			}
			m.superseded = append(m.superseded, ans.Superseded...)
		}
		l.post(m)
	})
}

// stillHere ends a round.
type stillHere struct{ superseded []uint64 }

func (m stillHere) apply(l *loop) {
	l.holding = false
	for _, key := range m.superseded {
		if s := l.byKey[key]; s != nil && s.held == nil {
			l.closeSession(s, proto.CloseUnknown)
		}
	}
}
