package inside

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/sqlstore"
	"github.com/starling-chat/starling/core/sqlstore/crowd"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// Of the guild that is measured.
const (
	bucket   = 7
	guild    = proto.ID(1_000_000_000)<<22 | bucket<<12
	role     = guild + 1
	rareness = 20 // every so many members have the role
)

// A Directory with one guild of many members.
type Directory struct {
	store *sqlstore.Store
	crowd crowd.Crowd
	n     int
}

// OpenDirectory makes a directory at a place, a file or a postgres:// URL, with a guild of n members: two by Apply, the others copies.
func OpenDirectory(ctx context.Context, place string, n int, told func(int)) (*Directory, error) {
	store, err := sqlstore.Open(ctx, place, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	d := &Directory{store: store, n: n, crowd: crowd.Crowd{Guild: guild, Plain: crowd.Model{ID: guild + 10, Name: "plain_model"},
		Holder: crowd.Model{ID: guild + 11, Name: "holder_model"}, Rare: rareness, First: guild + 1<<22, Step: 3 << 12}}
	err = store.Apply(ctx, born(d.crowd))
	if err == nil {
		err = d.crowd.Make(ctx, place, n, told)
	}
	if err != nil {
		store.Close()
		return nil, err
	}
	return d, nil
}

// Close closes it.
func (d *Directory) Close() error { return d.store.Close() }

// born is the entry of a guild with a role and the two members that the others are copies of.
func born(c crowd.Crowd) []core.Applied {
	joined := proto.Time(guild.Time())
	e := &pb.Entry{Epoch: 1, Counter: 1, LastId: uint64(guild + 20)}
	add := func(kind string, body any) {
		b, err := json.Marshal(body)
		if err != nil { // names and numbers
			panic(err)
		}
		e.Events = append(e.Events, &pb.Event{Type: kind, Guild: uint64(guild), Body: b})
	}
	var members []proto.Member
	for i, m := range []crowd.Model{c.Plain, c.Holder} {
		u := proto.NewUser(m.ID, m.Name, false)
		add(proto.EventInternalUserBorn, core.Account{User: u})
		members = append(members, proto.Member{User: &u, Roles: []proto.ID{role}[:i], JoinedAt: joined})
	}
	add(proto.EventInternalGuildBorn, proto.Guild{ID: guild, Name: "Crowd", OwnerID: c.Plain.ID, Members: members,
		Roles: []proto.Role{{ID: guild, Name: "@everyone"}, {ID: role, Name: "holders"}}})
	return []core.Applied{{Bucket: bucket, Sequence: 1, Entry: e}}
}

// Page, Search and Filter measure reads of n members each: those after any id, those whose name begins with some letters, those of the role.
func (d *Directory) Page(ctx context.Context, reads, n int) ([]time.Duration, error) {
	return d.timed(reads, n, func() ([]proto.Member, error) { return d.store.Members(ctx, guild, d.any(n), n) })
}

// Search: see Page.
func (d *Directory) Search(ctx context.Context, reads, n int) ([]time.Duration, error) {
	return Timed(reads, 2, func(int) error {
		name := crowd.Name(1 + rand.IntN(d.n))
		found, err := d.store.FindMembers(ctx, guild, name[:len(name)-rand.IntN(6)], n)
		if err == nil && (len(found) == 0 || len(found) > n) {
			err = fmt.Errorf("search by %q: %d members", name, len(found))
		}
		return err
	})
}

// Filter: see Page.
func (d *Directory) Filter(ctx context.Context, reads, n int) ([]time.Duration, error) {
	return d.timed(reads, n, func() ([]proto.Member, error) {
		return d.store.MembersByRole(ctx, guild, role, d.any((n+1)*rareness), n)
	})
}

// any is the id of a member with at least n others behind.
func (d *Directory) any(n int) proto.ID { return d.crowd.User(1 + rand.IntN(d.n-n)) }

func (d *Directory) timed(reads, n int, read func() ([]proto.Member, error)) ([]time.Duration, error) {
	return Timed(reads, 2, func(int) error {
		found, err := read()
		if err == nil && len(found) != n {
			err = fmt.Errorf("%d members, want %d", len(found), n)
		}
		return err
	})
}
