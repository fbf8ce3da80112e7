package cql

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/gocql/gocql"
)

// Tables are made in this order; each only where it is missing. Compaction is left to the server's default, see the package comment. %s is
// how the server names the option compressionOption.
var tables = []struct{ name, columns string }{
	{"messages", `(
		channel_id bigint, window int, message_id bigint,
		body blob,
		PRIMARY KEY ((channel_id, window), message_id)
	) WITH CLUSTERING ORDER BY (message_id DESC)
	AND gc_grace_seconds = 864000
	AND compression = {'%s': 'ZstdCompressor', 'chunk_length_in_kb': 16}`},
	{"channel_windows", `(
		channel_id bigint, window int,
		last_id bigint STATIC,
		PRIMARY KEY (channel_id, window)
	) WITH CLUSTERING ORDER BY (window DESC)
	AND gc_grace_seconds = 864000`},
	{"reactions", `(
		channel_id bigint, window int, message_id bigint,
		body blob,
		PRIMARY KEY ((channel_id, window), message_id)
	) WITH gc_grace_seconds = 864000`},
	{"reactors", `(
		channel_id bigint, window int, round bigint, user_id bigint,
		PRIMARY KEY ((channel_id, window), round, user_id)
	) WITH gc_grace_seconds = 864000`},
	{"pins", `(
		channel_id bigint PRIMARY KEY,
		body blob
	) WITH gc_grace_seconds = 864000`},
	{"checkpoints", `(
		bucket int PRIMARY KEY,
		sequence bigint, counter bigint, epoch bigint, last_id bigint, incarnation bigint
	)`},
}

// Columns that tables of earlier versions lack.
var added = []struct{ table, column, kind string }{
	{"checkpoints", "incarnation", "bigint"},
}

// What the store says to the server.
const (
	putMessage    = `INSERT INTO messages (channel_id, window, message_id, body) VALUES (?, ?, ?, ?) USING TIMESTAMP ?`
	dropMessage   = `DELETE FROM messages USING TIMESTAMP ? WHERE channel_id = ? AND window = ? AND message_id = ?`
	dropWindow    = `DELETE FROM messages USING TIMESTAMP ? WHERE channel_id = ? AND window = ?`
	oneMessage    = `SELECT body FROM messages WHERE channel_id = ? AND window = ? AND message_id = ?`
	messagesBelow = `SELECT message_id, body FROM messages WHERE channel_id = ? AND window = ? AND message_id >= ? AND message_id <= ? LIMIT ?`
	messagesAbove = `SELECT message_id, body FROM messages WHERE channel_id = ? AND window = ? AND message_id >= ? AND message_id <= ? ORDER BY message_id ASC LIMIT ?`
	messagesAmong = `SELECT message_id, body FROM messages WHERE channel_id = ? AND window IN ? AND message_id <= ? PER PARTITION LIMIT ?`

	noteWindow   = `INSERT INTO channel_windows (channel_id, window) VALUES (?, ?) USING TIMESTAMP ?`
	raiseLast    = `UPDATE channel_windows USING TIMESTAMP ? SET last_id = ? WHERE channel_id = ?`
	dropNotes    = `DELETE FROM channel_windows USING TIMESTAMP ? WHERE channel_id = ? AND window >= 0`
	lastID       = `SELECT last_id FROM channel_windows WHERE channel_id = ? LIMIT 1`
	windowsBelow = `SELECT window FROM channel_windows WHERE channel_id = ? AND window <= ? LIMIT ?`
	windowsAbove = `SELECT window FROM channel_windows WHERE channel_id = ? AND window >= ? ORDER BY window ASC LIMIT ?`

	putCheckpoint  = `INSERT INTO checkpoints (bucket, sequence, counter, epoch, last_id, incarnation) VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ?`
	oneCheckpoint  = `SELECT sequence, counter, epoch, last_id, incarnation FROM checkpoints WHERE bucket = ?`
	allCheckpoints = `SELECT bucket, sequence, counter, epoch, last_id, incarnation FROM checkpoints`
)

var keyspaceName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,47}$`)

// migrate makes the keyspace and its tables where they are missing. It looks first: cores that start side by side would otherwise all send
// the same CREATE, which Cassandra may carry out twice with different table ids.
func migrate(ctx context.Context, s *gocql.Session, cfg Config) error {
	have := map[string]bool{}
	it := s.Query(`SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?`, cfg.Keyspace).WithContext(ctx).Iter()
	for name := ""; it.Scan(&name); {
		have[name] = true
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("schema of %s: %w", cfg.Keyspace, err)
	}
	option, err := compressionOption(ctx, s)
	if err != nil {
		return fmt.Errorf("schema of %s: %w", cfg.Keyspace, err)
	}
	var statements []string
	if len(have) == 0 {
		statements = append(statements, fmt.Sprintf("CREATE KEYSPACE IF NOT EXISTS %s WITH replication = "+
			"{'class': 'NetworkTopologyStrategy', 'replication_factor': %d}", cfg.Keyspace, cfg.Replication))
	}
	for _, t := range tables {
		if !have[t.name] {
			statements = append(statements, fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s.%s %s", cfg.Keyspace, t.name,
				strings.ReplaceAll(t.columns, "%s", option)))
		}
	}
	for _, a := range added {
		if !have[a.table] {
			continue // it is made whole
		}
		known := ""
		err := s.Query(`SELECT column_name FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ? AND column_name = ?`,
			cfg.Keyspace, a.table, a.column).WithContext(ctx).Scan(&known)
		if errors.Is(err, gocql.ErrNotFound) {
			statements = append(statements, fmt.Sprintf("ALTER TABLE %s.%s ADD %s %s", cfg.Keyspace, a.table, a.column, a.kind))
		} else if err != nil {
			return fmt.Errorf("schema of %s: %w", cfg.Keyspace, err)
		}
	}
	for _, statement := range statements {
		if err := s.Query(statement).WithContext(ctx).Exec(); err != nil {
			return fmt.Errorf("schema of %s: %w", cfg.Keyspace, err)
		}
	}
	return checkStamps(ctx, s, cfg)
}

// compressionOption is how the server calls the choice of a compressor: ScyllaDB knows only Cassandra's old name for it.
func compressionOption(ctx context.Context, s *gocql.Session) (string, error) {
	var name string
	err := s.Query(`SELECT table_name FROM system_schema.tables WHERE keyspace_name = 'system_schema' AND table_name = 'scylla_tables'`).
		WithContext(ctx).Scan(&name)
	if errors.Is(err, gocql.ErrNotFound) {
		return "class", nil
	}
	return "sstable_compression", err
}

// permanent tells whether the server refused a statement on its merits: asking again is in vain. What lacks a table is asked again: a core that
// starts beside this one may be making it, and the server tells each that it is there before it is.
func permanent(err error) bool {
	var refused gocql.RequestError
	if !errors.As(err, &refused) || lacksTable(refused) {
		return false
	}
	switch refused.Code() {
	case gocql.ErrCodeSyntax, gocql.ErrCodeUnauthorized, gocql.ErrCodeInvalid, gocql.ErrCodeConfig:
		return true
	}
	return false
}

// lacksTable tells whether the server knows no such table, in Cassandra's words or ScyllaDB's.
func lacksTable(refused gocql.RequestError) bool {
	m := refused.Message()
	return strings.Contains(m, "does not exist") || strings.Contains(m, "unconfigured table")
}

// checkStamps makes sure that the server takes timestamps that are no times, with a delete of what was never there.
func checkStamps(ctx context.Context, s *gocql.Session, cfg Config) error {
	err := s.Query("DELETE FROM "+cfg.Keyspace+".checkpoints USING TIMESTAMP ? WHERE bucket = -1", int64(1)<<62).WithContext(ctx).Exec()
	var refused gocql.RequestError
	if errors.As(err, &refused) && strings.Contains(strings.ToLower(refused.Message()), "future") {
		return fmt.Errorf("the server refuses versions as timestamps, set restrict_future_timestamp to false in scylla.yaml: %w", err)
	}
	return err
}
