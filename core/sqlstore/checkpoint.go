package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

const checkpointColumns = `bucket, sequence, counter, epoch, last_id, incarnation`

// columns are a checkpoint's values in the order of checkpointColumns.
func columns(c core.Checkpoint) []any {
	return []any{c.Bucket, int64(c.Sequence), int64(c.Counter), int64(c.Epoch), int64(c.LastID), int64(c.Incarnation)}
}

func scanCheckpoint(row interface{ Scan(...any) error }) (core.Checkpoint, error) {
	var c core.Checkpoint
	var sequence, counter, epoch, last, incarnation int64
	err := row.Scan(&c.Bucket, &sequence, &counter, &epoch, &last, &incarnation)
	c.Sequence, c.Counter, c.Epoch, c.LastID, c.Incarnation = uint64(sequence), uint64(counter), uint64(epoch), proto.ID(last), uint64(incarnation)
	return c, err
}

// Checkpoint implements core.Directory.
func (s *Store) Checkpoint(ctx context.Context, bucket int) (core.Checkpoint, error) {
	return s.checkpoint(ctx, bucket, `SELECT `+checkpointColumns+` FROM checkpoints WHERE bucket = $1`)
}

// HistoryNote implements core.Directory.
func (s *Store) HistoryNote(ctx context.Context, bucket int) (core.Checkpoint, error) {
	return s.checkpoint(ctx, bucket, `SELECT `+checkpointColumns+` FROM history_notes WHERE bucket = $1`)
}

func (s *Store) checkpoint(ctx context.Context, bucket int, query string) (core.Checkpoint, error) {
	c, err := scanCheckpoint(s.read.QueryRowContext(ctx, query, bucket))
	if errors.Is(err, sql.ErrNoRows) {
		return core.Checkpoint{Bucket: bucket}, nil
	}
	if err != nil {
		return core.Checkpoint{}, fmt.Errorf("bucket %d: checkpoint: %w", bucket, err)
	}
	return c, nil
}

// Checkpoints implements core.Directory.
func (s *Store) Checkpoints(ctx context.Context) ([]core.Checkpoint, error) {
	return collect(ctx, s.read, func(rows *sql.Rows) (core.Checkpoint, error) { return scanCheckpoint(rows) },
		`SELECT `+checkpointColumns+` FROM checkpoints ORDER BY bucket`)
}

// NoteHistory implements core.Directory.
func (s *Store) NoteHistory(ctx context.Context, at []core.Checkpoint) error {
	if len(at) == 0 {
		return nil
	}
	rows := newValues(6)
	for _, c := range at {
		rows.add(columns(c)...)
	}
	err := inTx(ctx, s.write, func(tx *sql.Tx) error {
		return rows.exec(ctx, tx, `INSERT INTO history_notes (`+checkpointColumns+`) VALUES `, ` ON CONFLICT (bucket) DO UPDATE
			SET sequence = excluded.sequence, counter = excluded.counter, epoch = excluded.epoch, last_id = excluded.last_id,
			incarnation = excluded.incarnation
			WHERE (history_notes.epoch, history_notes.counter) < (excluded.epoch, excluded.counter)`)
	})
	if err != nil {
		return fmt.Errorf("note history: %w", err)
	}
	return nil
}
