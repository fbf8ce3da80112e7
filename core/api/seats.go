package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

const (
	seatLife     = 10 * time.Second // of what is cached, should nobody tell that it is void
	seatLate     = time.Second      // for a read: what took longer is not kept
	placesMax    = 1 << 12          // guilds held decoded
	unvoidMost   = 1 << 16          // guilds
	unvoidAtOnce = 64
)

var seated = promauto.NewCounterVec(prometheus.CounterOpts{Name: "starling_api_seats_total",
	Help: "Places of callers in guilds, by where they were found: cache, directory."}, []string{"found"})

// Seats caches what rights of reads are made of: guilds with roles and channels, and members' roles. All that a guild has is one group, void
// from the moment that the log changes the guild's structure or members. It goes between the owner and its directory, and before the API's.
type Seats struct {
	cache core.Cache
	now   func() time.Time

	mu     sync.RWMutex
	places map[proto.ID]*place
	// What the cache could not be told, and until when it may hold what is void. Other cores ask it meanwhile, and are right again once
	// seatLife is over; this one does not ask.
	unvoid  map[string]unvoid
	telling bool      // somebody tells the cache: one is enough
	deaf    time.Time // until then nothing is asked: there was too much to remember
}

// A place is a guild as rights need it, decoded from what the cache has. Nobody changes it.
type place struct {
	raw   []byte
	guild proto.Guild
	roles map[proto.ID]proto.Role
}

type unvoid struct {
	epoch, counter uint64
	until          time.Time
}

// NewSeats caches in a cache that every core of the region shares, if there are several.
func NewSeats(cache core.Cache, now func() time.Time) *Seats {
	return &Seats{cache: cache, now: now, places: make(map[proto.ID]*place), unvoid: make(map[string]unvoid)}
}

// Directory is d for an owner of buckets: what is applied to it is void in the cache.
func (s *Seats) Directory(d core.Directory) core.Directory { return voiding{d, s} }

type voiding struct {
	core.Directory
	seats *Seats
}

// Apply voids before and after. Before, so that it is done even if this process ends once the directory has it: what is read of the rows that
// are about to change has a lower position and is void already. After, should the cache have forgotten meanwhile what it was told. Nobody has
// been answered yet: structure waits for the directory.
func (v voiding) Apply(ctx context.Context, entries []core.Applied) error {
	changed := make(map[string]core.Applied) // → the last entry
	for _, a := range entries {
		for _, e := range a.Entry.GetEvents() {
			if e.Guild != 0 && proto.ID(e.Guild).Bucket() == a.Bucket && core.Structural(e.Type) { // not a user's joining it, which follows
				changed[groupOf(proto.ID(e.Guild))] = a
			}
		}
	}
	v.seats.void(ctx, changed)
	if err := v.Directory.Apply(ctx, entries); err != nil {
		return err
	}
	v.seats.void(ctx, changed)
	return nil
}

func groupOf(guild proto.ID) string { return strconv.FormatUint(uint64(guild), 10) }

func (s *Seats) void(ctx context.Context, changed map[string]core.Applied) {
	for group, a := range changed {
		if err := s.cache.Void(ctx, group, a.Entry.Epoch, a.Entry.Counter); err != nil {
			s.remember(group, a.Entry.Epoch, a.Entry.Counter)
		}
	}
}

func (s *Seats) remember(group string, epoch, counter uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	until := s.now().Add(seatLife + 2*seatLate)
	if len(s.unvoid) >= unvoidMost {
		clear(s.unvoid)
		s.deaf = until
	}
	s.unvoid[group] = unvoid{epoch, counter, until}
}

// trusted tells whether the cache has been told all there is to tell of a group. It tells now what could not be told before.
func (s *Seats) trusted(ctx context.Context, group string) bool {
	s.mu.RLock()
	clean, now := len(s.unvoid) == 0 && s.deaf.IsZero(), s.now()
	s.mu.RUnlock()
	if clean {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.deaf.IsZero() && now.Before(s.deaf) {
		return false
	}
	s.deaf = time.Time{}
	if !s.telling {
		s.telling = true
		s.tellLocked(ctx, now)
		s.telling = false
	}
	_, untold := s.unvoid[group]
	return !untold && s.deaf.IsZero()
}

// tellLocked tells the cache some of what it could not be told before. It unlocks meanwhile: the cache may be slow.
func (s *Seats) tellLocked(ctx context.Context, now time.Time) {
	some := make(map[string]unvoid)
	for g, u := range s.unvoid {
		if some[g] = u; len(some) == unvoidAtOnce {
			break
		}
	}
	s.mu.Unlock()
	var told []string
	for g, u := range some {
		if now.Before(u.until) && s.cache.Void(ctx, g, u.epoch, u.counter) != nil {
			break
		}
		told = append(told, g)
	}
	s.mu.Lock()
	for _, g := range told {
		if s.unvoid[g] == some[g] { // else there is more to tell
			delete(s.unvoid, g)
		}
	}
}

// find gives a guild and a member's roles; core.ErrNotFound of either as the directory tells it.
func (s *Seats) find(ctx context.Context, d core.Directory, guild, user proto.ID) (*place, []proto.ID, error) {
	group, member := groupOf(guild), strconv.FormatUint(uint64(user), 10)
	trusted := s.trusted(ctx, group)
	if trusted {
		if raw, err := s.cache.Cached(ctx, group, "guild", member); err == nil && raw[0] != nil && raw[1] != nil {
			p, err := s.place(guild, raw[0])
			var roles []proto.ID
			if err == nil {
				err = json.Unmarshal(raw[1], &roles)
			}
			if err == nil {
				seated.WithLabelValues("cache").Inc()
				return p, roles, nil
			}
		}
	}
	seated.WithLabelValues("directory").Inc()
	begun := s.now()
	at, err := d.Checkpoint(ctx, guild.Bucket()) // before the rows: they are of this position, or of a later one
	if err != nil {
		return nil, nil, err
	}
	p, roles, err := ask(ctx, d, guild, user)
	if err != nil || !trusted || s.now().Sub(begun) > seatLate {
		return p, roles, err
	}
	for key, v := range map[string]any{"guild": p.guild, member: roles} {
		raw, err := json.Marshal(v)
		if err != nil {
			return nil, nil, fmt.Errorf("guild %d: %w", guild, err)
		}
		if s.cache.Keep(ctx, group, key, at.Epoch, at.Counter, raw, seatLife) != nil {
			break // it is asked again
		}
	}
	return p, roles, nil
}

// place decodes a guild, unless it is the one that it decoded last time.
func (s *Seats) place(guild proto.ID, raw []byte) (*place, error) {
	s.mu.RLock()
	p := s.places[guild]
	s.mu.RUnlock()
	if p != nil && bytes.Equal(p.raw, raw) {
		return p, nil
	}
	var g proto.Guild
	if err := json.Unmarshal(raw, &g); err != nil {
		return nil, fmt.Errorf("guild %d: cached: %w", guild, err)
	}
	p = newPlace(g)
	p.raw = raw
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.places) >= placesMax {
		clear(s.places)
	}
	s.places[guild] = p
	return p, nil
}

func newPlace(g proto.Guild) *place {
	p := &place{guild: g, roles: make(map[proto.ID]proto.Role, len(g.Roles))}
	for _, r := range g.Roles {
		p.roles[r.ID] = r
	}
	return p
}

// errNoMember is of somebody who is not in a guild that exists.
var errNoMember = fmt.Errorf("member: %w", core.ErrNotFound)

// ask asks the directory.
func ask(ctx context.Context, d core.Directory, guild, user proto.ID) (*place, []proto.ID, error) {
	g, err := d.Guild(ctx, guild)
	if err != nil {
		return nil, nil, fmt.Errorf("guild %d: %w", guild, err)
	}
	m, err := d.Member(ctx, guild, user)
	if errors.Is(err, core.ErrNotFound) {
		return nil, nil, errNoMember
	}
	if err != nil {
		return nil, nil, fmt.Errorf("guild %d: member %d: %w", guild, user, err)
	}
	return newPlace(g), m.Roles, nil
}
