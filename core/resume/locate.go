package resume

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/starling-chat/starling/proto/journal"
	"github.com/starling-chat/starling/proto/pb"
)

// A holder is where a session was, once it was asked to let go of it.
type holder struct {
	segment  *pb.ResumeSegment
	index    *journal.Index
	alive    bool  // the edge runs, of the same boot
	numbered int64 // alive: the highest index there is
	covered  bool  // alive: the journal has it all
	until    time.Time
}

// release has a segment's edge close the session's socket, and reads its journal.
func (s *Service) release(ctx context.Context, key uint64, g *pb.ResumeSegment) (*holder, error) {
	h := &holder{segment: g, until: s.Clock.Now().Add(patience)}
	if err := s.ask(ctx, key, h); err != nil {
		return nil, err
	}
	return h, nil
}

// ask asks once. An edge that does not answer, or not as the same boot, counts as dead: it closes its sessions itself when it has heard of no hub
// for long (rule 3).
func (s *Service) ask(ctx context.Context, key uint64, h *holder) error {
	wait, cancel := context.WithTimeout(ctx, releaseWait)
	ans, err := s.Holders.Release(wait, h.segment.Edge, &pb.ReleaseCall{Session: key, Boot: h.segment.Boot, N: h.segment.N})
	cancel()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	h.alive = err == nil && !ans.Gone
	if h.alive {
		h.numbered, h.covered = ans.Index, !ans.Pending
	}
	index, err := s.Journals.Index(ctx, h.segment.Edge, h.segment.Boot)
	if err != nil {
		return fmt.Errorf("journal of %s: %w", h.segment.Edge, err)
	}
	h.index = index
	return nil
}

// A place is where a client stands.
type place struct {
	positions []journal.Position
	waiting   []*pb.JournalPlace
	within    int64
	tail      bool
}

// locate finds where the client stands that has everything up to a number (rule 8).
func (s *Service) locate(ctx context.Context, rec *pb.ResumeRecord, number int64, head *holder) (place, error) {
	at, err := s.find(ctx, rec, number, head)
	if err != nil {
		return place{}, err
	}
	for _, g := range rec.Segments { // a replay that began at what a lost journal covered repeats until it is through
		at.tail = at.tail || g.Tail && g.S0 <= number && number < g.Lo+g.Replayed
	}
	return at, nil
}

func (s *Service) find(ctx context.Context, rec *pb.ResumeRecord, number int64, head *holder) (place, error) {
	segments := rec.Segments
	for i := len(segments) - 1; i >= 0; i-- {
		g := segments[i]
		if g.N > 0 && g.S0 == number && g.Lo > number && s.fresh(g) {
			return place{positions: journal.Of(g.From), waiting: g.Waiting}, nil // it got nothing of what it moved for
		}
		if g.Lo <= number {
			break
		}
	}
	i := len(segments) - 1
	for i > 0 && segments[i].Lo > number {
		i--
	}
	g := segments[i]
	switch {
	case number < g.Lo:
		return place{}, invalidf("number %d is below the first that is known of, %d", number, g.Lo)
	case g.N == 0:
		return s.live(ctx, rec.Origin.Key, g, number, head)
	case number < g.Lo+g.Replayed && !s.fresh(g):
		return place{}, invalidf("number %d is within a replay that is too old", number)
	case number < g.Lo+g.Replayed:
		return place{positions: journal.Of(g.From), waiting: g.Waiting, within: number - g.Lo + 1}, nil
	case number+g.Base <= g.Ic && s.fresh(g):
		return place{positions: journal.Of(g.To), waiting: g.Left}, nil
	}
	return s.live(ctx, rec.Origin.Key, g, number, head)
}

// fresh tells whether what a segment says of positions still counts.
func (s *Service) fresh(g *pb.ResumeSegment) bool {
	return !s.Clock.Now().After(time.UnixMilli(g.TimeMs).Add(Retention))
}

// live finds a number that the session had while it was live on a segment: in the edge's journal. What is missing there it awaits, for a
// moment: records may be on their way.
func (s *Service) live(ctx context.Context, key uint64, g *pb.ResumeSegment, number int64, head *holder) (place, error) {
	h := head
	if h.segment != g {
		var err error
		if h, err = s.release(ctx, key, g); err != nil {
			return place{}, err
		}
	}
	var also *journal.Base
	if g.N > 0 && s.fresh(g) {
		also = &journal.Base{Index: g.Ic, Positions: journal.Of(g.To), Waiting: g.Left}
	}
	index := number + g.Base
	for again := againAfter; ; again = min(2*again, againMost) {
		if h.alive && index > h.numbered {
			return place{}, invalidf("number %d is above all that edge %s has numbered, by %d", number, g.Edge, index-h.numbered)
		}
		found := h.index.At(index, key, also)
		late := !s.Clock.Now().Before(h.until)
		switch {
		case found.Status == journal.Known:
			return place{positions: found.Positions, waiting: found.Waiting}, nil
		case found.Status == journal.Gone && (late || !h.alive || h.covered):
			return place{}, invalidf("the journal of edge %s does not reach back to number %d", g.Edge, number)
		case late && h.alive:
			return place{}, errors.New("the holder's journal is not all there yet")
		case late && index-found.Covered > tailMost:
			return place{}, invalidf("number %d is above the journal of edge %s by %d", number, g.Edge, index-found.Covered)
		case late:
			return place{positions: found.Positions, waiting: found.Waiting, tail: true}, nil
		}
		if err := s.Clock.Sleep(ctx, again); err != nil {
			return place{}, err
		}
		if err := s.ask(ctx, key, h); err != nil {
			return place{}, err
		}
	}
}
