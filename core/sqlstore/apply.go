package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// A change applies one event in the transaction of its entry.
type change struct {
	ctx     context.Context
	tx      *sql.Tx
	at      core.Applied
	event   *pb.Event
	effects *int // of the entry so far
}

// changes says what each structural event does. Every one may be repeated, and none fails for what it finds in the tables.
var changes = map[string]func(change) error{
	proto.EventInternalGuildBorn:     guildBorn,
	proto.EventGuildUpdate:           guildUpdate,
	proto.EventGuildDelete:           guildDelete,
	proto.EventChannelCreate:         channelPut,
	proto.EventChannelUpdate:         channelPut,
	proto.EventChannelDelete:         channelDelete,
	proto.EventGuildRoleCreate:       rolePut,
	proto.EventGuildRoleUpdate:       rolePut,
	proto.EventGuildRoleDelete:       roleDelete,
	proto.EventGuildMemberAdd:        memberAdd,
	proto.EventGuildMemberUpdate:     memberUpdate,
	proto.EventGuildMemberRemove:     memberRemove,
	proto.EventInternalBanned:        banned,
	proto.EventGuildBanAdd:           nothing,
	proto.EventGuildBanRemove:        banRemove,
	proto.EventAuditLogEntry:         audit,
	proto.EventInternalAnswer:        nothing,
	proto.EventInviteCreate:          inviteCreate,
	proto.EventInviteDelete:          inviteDelete,
	proto.EventInternalInviteUsed:    inviteUsed,
	proto.EventInternalUserBorn:      userBorn,
	proto.EventUserUpdate:            userUpdate,
	proto.EventInternalDirectBorn:    directBorn,
	proto.EventInternalDirectShown:   directShown,
	proto.EventInternalDirectHidden:  directHidden,
	proto.EventInternalDirectOpened:  directOpened,
	proto.EventInternalDirectClosed:  directClosed,
	proto.EventRelationshipAdd:       relationshipAdd,
	proto.EventRelationshipRemove:    relationshipRemove,
	proto.EventInternalTokenReset:    tokenReset,
	proto.EventInternalSessionRevoke: sessionRevoke,
	proto.EventInternalGuildJoined:   guildJoined,
	proto.EventInternalGuildLeft:     guildLeft,
}

var (
	errUnknownEvent = errors.New("event of an unknown type")
	errNoID         = errors.New("event names no id")
	errNothingNew   = errors.New("nothing new") // never leaves Apply
)

// Apply implements core.Directory.
func (s *Store) Apply(ctx context.Context, entries []core.Applied) error {
	if len(entries) == 0 {
		return nil
	}
	bucket := entries[0].Bucket
	for _, a := range entries {
		if a.Bucket != bucket {
			return fmt.Errorf("bucket %d: entry of bucket %d in one Apply", bucket, a.Bucket)
		}
	}
	err := inTx(ctx, s.write, func(tx *sql.Tx) error { return applyAll(ctx, tx, bucket, entries) })
	switch {
	case errors.Is(err, errNothingNew):
		return nil
	case err != nil:
		return fmt.Errorf("bucket %d: apply: %w", bucket, err)
	}
	return nil
}

func applyAll(ctx context.Context, tx *sql.Tx, bucket int, entries []core.Applied) error {
	// The upsert also locks the row, so that two owners of one bucket, of whom one is late, come one after the other.
	reached, err := scanCheckpoint(tx.QueryRowContext(ctx, `INSERT INTO checkpoints (bucket, sequence, counter, epoch, last_id) VALUES ($1, 0, 0, 0, 0)
		ON CONFLICT (bucket) DO UPDATE SET bucket = excluded.bucket RETURNING `+checkpointColumns, bucket))
	if err != nil {
		return err
	}
	from := reached
	for _, a := range entries {
		if reached.Covers(a) {
			continue
		}
		if err := apply(ctx, tx, a); err != nil {
			return err
		}
		reached = reached.Reach(a)
	}
	if reached == from {
		return errNothingNew
	}
	_, err = tx.ExecContext(ctx, `UPDATE checkpoints SET sequence = $2, counter = $3, epoch = $4, last_id = $5, incarnation = $6 WHERE bucket = $1`,
		columns(reached)...)
	return err
}

func apply(ctx context.Context, tx *sql.Tx, a core.Applied) error {
	effects := 0
	for _, e := range a.Entry.GetEvents() {
		if !core.Structural(e.Type) {
			continue
		}
		f, ok := changes[e.Type]
		err := errUnknownEvent
		if ok {
			err = f(change{ctx: ctx, tx: tx, at: a, event: e, effects: &effects})
		}
		if err != nil {
			return fmt.Errorf("sequence %d, %s: %w", a.Sequence, e.Type, err)
		}
	}
	return nil
}

func (c change) exec(query string, args ...any) error {
	_, err := c.tx.ExecContext(c.ctx, query, args...)
	return err
}

// touched is exec, and tells whether any row changed.
func (c change) touched(query string, args ...any) (bool, error) {
	r, err := c.tx.ExecContext(c.ctx, query, args...)
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n > 0, err
}

// decode reads the event's body.
func decode[T any](c change) (v T, err error) {
	if err := json.Unmarshal(c.event.Body, &v); err != nil {
		return v, fmt.Errorf("body: %w", err)
	}
	return v, nil
}
