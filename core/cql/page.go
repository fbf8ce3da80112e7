package cql

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gocql/gocql"

	"github.com/starling-chat/starling/proto"
)

const (
	notesPage    = 128 // windows that one read of the notes lists: 3 years and a half
	windowsAhead = 64  // most windows that are read side by side
	queriesAhead = 2   // about as many queries are those, where one may read several windows
)

// Before implements core.History.
func (s *Store) Before(ctx context.Context, channel, before proto.ID, n int) ([]proto.Message, error) {
	p := pageOf{name: "before", from: maxID, notes: windowsBelow, messages: messagesBelow, step: -1}
	if p.newest = before == 0; !p.newest {
		p.from = min(before-1, maxID)
	}
	return s.page(ctx, channel, p, n)
}

// After implements core.History.
func (s *Store) After(ctx context.Context, channel, after proto.ID, n int) ([]proto.Message, error) {
	if after >= maxID {
		return []proto.Message{}, nil
	}
	return s.page(ctx, channel, pageOf{name: "after", from: after + 1, notes: windowsAbove, messages: messagesAbove, step: 1}, n)
}

// A pageOf says where a page begins and which way it goes.
type pageOf struct {
	name            string
	from            proto.ID // inclusive
	newest          bool     // it begins at the newest message, wherever that is
	notes, messages string   // statements
	step            int      // of windows
}

// page gives a page of n: a short page means that there is no more.
func (s *Store) page(ctx context.Context, channel proto.ID, p pageOf, n int) ([]proto.Message, error) {
	if n <= 0 {
		return []proto.Message{}, nil
	}
	key := flightKey{read: p.name, channel: uint64(channel), id: uint64(p.from), n: n}
	page, err := shared(ctx, s, key, func(ctx context.Context) ([]proto.Message, error) {
		f := filling{pageOf: p, store: s, channel: channel, n: n, page: make([]proto.Message, 0, min(n, 100))}
		return f.read(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("channel %d: %w", channel, err)
	}
	return slices.Clone(page), nil
}

// windows lists the noted ones of a channel from one on.
func (s *Store) windows(ctx context.Context, statement string, channel proto.ID, from, n int) ([]int, error) {
	q, err := s.query(ctx, statement, int64(channel), from, n)
	if err != nil {
		return nil, err
	}
	var all []int
	it := q.Iter()
	for window := 0; it.Scan(&window); {
		all = append(all, window)
	}
	return all, it.Close()
}

// window reads up to n messages of one window.
func (s *Store) window(ctx context.Context, channel proto.ID, p pageOf, window, n int) ([]proto.Message, error) {
	low, high := windowSpan(window)
	if p.step < 0 {
		high = min(high, p.from)
	} else {
		low = max(low, p.from)
	}
	return s.span(ctx, channel, p, window, low, high, n)
}

// narrowest is the span of ids, one second, below which a read that passes over too much is not tried in halves.
const narrowest = proto.ID(1000 << 22)

// span reads up to n messages from low to high, both inclusive. Where many in a row were deleted, Cassandra gives up on the read for the
// tombstones that it would have to pass over; halves of the span have half as many. Halves are read one after the other, as the page may be
// full after the first.
func (s *Store) span(ctx context.Context, channel proto.ID, p pageOf, window int, low, high proto.ID, n int) ([]proto.Message, error) {
	page, err := s.rows(ctx, channel, p, window, low, high, n)
	if !overwhelmed(err) || high-low < narrowest {
		return page, err
	}
	halvedReads.Inc()
	middle := low + (high-low)/2
	near, far := [2]proto.ID{low, middle}, [2]proto.ID{middle + 1, high}
	if p.step < 0 {
		near, far = far, near
	}
	page, err = s.span(ctx, channel, p, window, near[0], near[1], n)
	if err != nil || len(page) == n {
		return page, err
	}
	rest, err := s.span(ctx, channel, p, window, far[0], far[1], n-len(page))
	return append(page, rest...), err
}

// overwhelmed tells an error of a replica that could not carry out a read, as for too many tombstones.
func overwhelmed(err error) bool {
	var refused gocql.RequestError
	return errors.As(err, &refused) && refused.Code() == gocql.ErrCodeReadFailure
}

// rows is one read.
func (s *Store) rows(ctx context.Context, channel proto.ID, p pageOf, window int, low, high proto.ID, n int) ([]proto.Message, error) {
	q, err := s.query(ctx, p.messages, int64(channel), window, int64(low), int64(high), n)
	if err != nil {
		return nil, err
	}
	return decodeRows(channel, q.Iter(), n)
}

// among reads up to n messages of each of several windows, newest first, by one query. Such windows hold little, as so many are asked for
// at once: a query for each would cost more than what it brings.
func (s *Store) among(ctx context.Context, channel proto.ID, p pageOf, windows []int, n int) ([]proto.Message, error) {
	q, err := s.queryAmong(ctx, messagesAmong, channel, windows, int64(p.from), n)
	if err != nil {
		return nil, err
	}
	page, err := decodeRows(channel, q.Iter(), len(windows))
	if overwhelmed(err) {
		page = nil
		for _, window := range windows {
			part, err := s.window(ctx, channel, p, window, n-len(page))
			if page = append(page, part...); err != nil || len(page) >= n {
				return page, err
			}
		}
		return page, nil
	}
	slices.SortFunc(page, func(a, b proto.Message) int { return cmp.Compare(b.ID, a.ID) }) // the server's order of windows is its own
	return page, err
}

// decodeRows takes messages of a read of about n.
func decodeRows(channel proto.ID, it *gocql.Iter, n int) ([]proto.Message, error) {
	page := make([]proto.Message, 0, n)
	var id int64
	for body := []byte(nil); it.Scan(&id, &body); {
		m, err := decodeMessage(channel, proto.ID(id), body)
		if err != nil {
			_ = it.Close()
			return nil, err
		}
		page = append(page, m)
	}
	return page, it.Close()
}
