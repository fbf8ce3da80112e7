package cql

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/gocql/gocql"
	"golang.org/x/sync/errgroup"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

// What the store says to the server of reactions and pins. Their rows carry stamps as messages do, and those of reactions are in windows, too,
// so that the sweep of a deleted channel reaches them.
const (
	putTallies   = `INSERT INTO reactions (channel_id, window, message_id, body) VALUES (?, ?, ?, ?) USING TIMESTAMP ?`
	dropTallies  = `DELETE FROM reactions USING TIMESTAMP ? WHERE channel_id = ? AND window = ? AND message_id = ?`
	dropTallied  = `DELETE FROM reactions USING TIMESTAMP ? WHERE channel_id = ? AND window = ?`
	someTallies  = `SELECT message_id, body FROM reactions WHERE channel_id = ? AND window IN ? AND message_id IN ?`
	putReactor   = `INSERT INTO reactors (channel_id, window, round, user_id) VALUES (?, ?, ?, ?) USING TIMESTAMP ?`
	dropReactor  = `DELETE FROM reactors USING TIMESTAMP ? WHERE channel_id = ? AND window = ? AND round = ? AND user_id = ?`
	dropRound    = `DELETE FROM reactors USING TIMESTAMP ? WHERE channel_id = ? AND window = ? AND round = ?`
	dropReactors = `DELETE FROM reactors USING TIMESTAMP ? WHERE channel_id = ? AND window = ?`
	someReacted  = `SELECT round FROM reactors WHERE channel_id = ? AND window IN ? AND round IN ? AND user_id = ?`
	reactors     = `SELECT user_id FROM reactors WHERE channel_id = ? AND window = ? AND round = ? AND user_id > ? LIMIT ?`
	putPins      = `INSERT INTO pins (channel_id, body) VALUES (?, ?) USING TIMESTAMP ?`
	dropPins     = `DELETE FROM pins USING TIMESTAMP ? WHERE channel_id = ?`
	channelPins  = `SELECT body FROM pins WHERE channel_id = ?`
)

// posts is what a plan writes of reactions and pins: of several writes to one row the newest alone.
type posts struct {
	tallies  map[rowKey]row
	reactors map[reactorKey]reactorRow
	ended    map[rowKey]int64 // stamps, by round
	pins     map[proto.ID]row
}

type reactorKey struct {
	channel, round, user proto.ID
}

type reactorRow struct {
	stamp int64
	gone  bool
}

func newPosts() posts {
	return posts{tallies: map[rowKey]row{}, reactors: map[reactorKey]reactorRow{}, ended: map[rowKey]int64{}, pins: map[proto.ID]row{}}
}

func (p *posts) addReactions(body []byte, at int64) error {
	var c core.ReactionChange
	if err := json.Unmarshal(body, &c); err != nil {
		return err
	}
	if c.ChannelID == 0 || c.MessageID == 0 {
		return errors.New("body names no message")
	}
	r := row{stamp: at}
	if len(c.Tallies) > 0 {
		var err error
		if r.body, err = json.Marshal(c.Tallies); err != nil {
			return err
		}
	}
	key := rowKey{partition{c.ChannelID, windowOf(c.MessageID)}, c.MessageID}
	if at >= p.tallies[key].stamp {
		p.tallies[key] = r
	}
	for gone, list := range map[bool][]core.Reactor{false: c.Added, true: c.Removed} {
		for _, u := range list {
			key := reactorKey{c.ChannelID, u.Round, u.User}
			if at >= p.reactors[key].stamp {
				p.reactors[key] = reactorRow{at, gone}
			}
		}
	}
	for _, round := range c.Ended {
		key := rowKey{partition{c.ChannelID, windowOf(round)}, round}
		p.ended[key] = max(p.ended[key], at)
	}
	return nil
}

func (p *posts) addPins(body []byte, at int64) error {
	var c core.PinChange
	if err := json.Unmarshal(body, &c); err != nil {
		return err
	}
	if c.ChannelID == 0 {
		return errors.New("body names no channel")
	}
	r := row{stamp: at}
	if len(c.Pins) > 0 {
		var err error
		if r.body, err = json.Marshal(c.Pins); err != nil {
			return err
		}
	}
	if at >= p.pins[c.ChannelID].stamp {
		p.pins[c.ChannelID] = r
	}
	return nil
}

// posts writes reactions and pins.
func (w *writer) posts() {
	for k, r := range w.plan.posts.tallies {
		if r.body == nil {
			w.exec(statement{dropTallies, []any{r.stamp, int64(k.channel), k.window, int64(k.id)}})
		} else {
			w.exec(statement{putTallies, []any{int64(k.channel), k.window, int64(k.id), r.body, r.stamp}})
		}
	}
	for k, r := range w.plan.posts.reactors {
		if window := windowOf(k.round); r.gone {
			w.exec(statement{dropReactor, []any{r.stamp, int64(k.channel), window, int64(k.round), int64(k.user)}})
		} else {
			w.exec(statement{putReactor, []any{int64(k.channel), window, int64(k.round), int64(k.user), r.stamp}})
		}
	}
	for k, stamp := range w.plan.posts.ended {
		w.exec(statement{dropRound, []any{stamp, int64(k.channel), k.window, int64(k.id)}})
	}
	for channel, r := range w.plan.posts.pins {
		if r.body == nil {
			w.exec(statement{dropPins, []any{r.stamp, int64(channel)}})
		} else {
			w.exec(statement{putPins, []any{int64(channel), r.body, r.stamp}})
		}
	}
}

// sweepPosts deletes what a deleted channel has of reactions in one window.
func (w *writer) sweepPosts(channel proto.ID, window int, stamp int64) {
	w.exec(statement{dropTallied, []any{stamp, int64(channel), window}})
	w.exec(statement{dropReactors, []any{stamp, int64(channel), window}})
}

// A handful is some ids and the windows that they are in.
type handful struct {
	windows []int
	ids     []int64
}

// handfuls sorts ids by window into about queriesAhead queries, none for two windows that hold many. Where ids of a page are
// far apart, a query for each of their windows would cost more than what it brings.
func handfuls(ids []proto.ID) []handful {
	windows := map[int][]int64{}
	for _, id := range ids {
		windows[windowOf(id)] = append(windows[windowOf(id)], int64(id))
	}
	var all []handful
	for some := range slices.Chunk(slices.Sorted(maps.Keys(windows)), 1+len(windows)/queriesAhead) {
		h := handful{windows: some}
		for _, window := range some {
			h.ids = append(h.ids, windows[window]...)
		}
		all = append(all, h)
	}
	return all
}

// eachHandful asks for all ids of a channel side by side, args behind them; take gets the rows, one iterator at a time.
func (s *Store) eachHandful(ctx context.Context, channel proto.ID, ids []proto.ID, take func(*gocql.Iter) error, text string, args ...any) error {
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	for _, h := range handfuls(ids) {
		g.Go(func() error {
			q, err := s.queryAmong(ctx, text, channel, h.windows, append([]any{h.ids}, args...)...)
			if err != nil {
				return err
			}
			it := q.Iter()
			mu.Lock()
			defer mu.Unlock()
			if err := take(it); err != nil {
				_ = it.Close()
				return err
			}
			return mark(it.Close())
		})
	}
	return g.Wait()
}

// Reactions implements core.History.
func (s *Store) Reactions(ctx context.Context, channel proto.ID, messages []proto.ID) (map[proto.ID][]core.Tally, error) {
	all := map[proto.ID][]core.Tally{}
	err := s.eachHandful(ctx, channel, messages, func(it *gocql.Iter) error {
		var id int64
		for body := []byte(nil); it.Scan(&id, &body); {
			var tallies []core.Tally
			if err := json.Unmarshal(body, &tallies); err != nil {
				return fmt.Errorf("message %d: %w", id, err)
			}
			all[proto.ID(id)] = tallies
		}
		return nil
	}, someTallies)
	if err != nil {
		return nil, fmt.Errorf("channel %d: reactions: %w", channel, err)
	}
	return all, nil
}

// Reacted implements core.History.
func (s *Store) Reacted(ctx context.Context, channel proto.ID, rounds []proto.ID, user proto.ID) (map[proto.ID]bool, error) {
	in := map[proto.ID]bool{}
	err := s.eachHandful(ctx, channel, rounds, func(it *gocql.Iter) error {
		for round := int64(0); it.Scan(&round); {
			in[proto.ID(round)] = true
		}
		return nil
	}, someReacted, int64(user))
	if err != nil {
		return nil, fmt.Errorf("channel %d: reacted: %w", channel, err)
	}
	return in, nil
}

// Reactors implements core.History.
func (s *Store) Reactors(ctx context.Context, channel, round, after proto.ID, n int) ([]proto.ID, error) {
	users := []proto.ID{}
	if n <= 0 {
		return users, nil
	}
	q, err := s.query(ctx, reactors, int64(channel), windowOf(round), int64(round), int64(after), n)
	if err != nil {
		return nil, fmt.Errorf("channel %d: round %d: %w", channel, round, err)
	}
	it := q.Iter()
	for user := int64(0); it.Scan(&user); {
		users = append(users, proto.ID(user))
	}
	if err := it.Close(); err != nil {
		return nil, fmt.Errorf("channel %d: round %d: %w", channel, round, mark(err))
	}
	return users, nil
}

// Pins implements core.History.
func (s *Store) Pins(ctx context.Context, channel proto.ID) ([]core.Pin, error) {
	pins := []core.Pin{}
	q, err := s.query(ctx, channelPins, int64(channel))
	if err == nil {
		var body []byte
		if err = q.Scan(&body); err == nil {
			err = json.Unmarshal(body, &pins)
		} else if errors.Is(err, gocql.ErrNotFound) {
			err = nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("channel %d: pins: %w", channel, mark(err))
	}
	return pins, nil
}
