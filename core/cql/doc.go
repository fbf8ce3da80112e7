// Package cql keeps the history of messages on a cluster that speaks CQL: ScyllaDB in production, Apache Cassandra in tests. It implements
// core.History and is the only package that knows CQL. It is not a source of truth: the log is, and an owner replays from the checkpoint
// that it finds here. It makes no choices about order: it writes what the log accepted, under the log's own version.
//
// # Versions
//
// Every write carries USING TIMESTAMP epoch<<40 | counter of its entry (see stamp), so the cluster itself lets late and replayed writes
// lose, with no read before a write. Events of one entry share the stamp: of several that touch one message only the last is written, and an
// entry is only ever applied whole, so a replay writes the same cells again. A deleted row leaves a tombstone, and so does a deleted
// channel, over every window of its life; at equal stamps a tombstone wins, which is right for a message sent and swept away with its channel
// in one entry. (The reverse, a message after its channel's delete in one entry, is not known here: the owner refuses it.)
//
// Limits, refused by an error and never wrapped around: 2^23-1 take-overs of a bucket (one a minute for 16 years) and 2^40 entries
// (1,000 a second for 34 years). Tombstones live for gc_grace_seconds, 10 days, and may be forgotten after that: a replay must not
// reach further back. It reaches as far as the log, a day.
//
// The stamps are no times: ScyllaDB has to be told so (restrict_future_timestamp: false, Open says so too if it is not), and
// TimeWindowCompactionStrategy is of no use here.
//
// # What the cluster has to keep
//
// What it acknowledged: at RF 3 and LOCAL_QUORUM two nodes have it. A node that is alone, or all of them if they may lose power together, needs
// commitlog_sync: group or batch. With Cassandra's default, periodic, kill -9 loses the writes of up to 100 ms that a checkpoint may already
// cover, a lost host ten seconds; nobody writes those again.
//
// # Tables
//
// messages: one partition per channel and window of 10 days; a row is a message (see row.go). channel_windows: which windows of a
// channel hold anything, or did, so that a channel silent for years pages back in a few reads; and the newest id ever sent, a register
// whose stamp is the id itself, so that the highest wins. checkpoints: one row per bucket, written after all that it covers.
//
// reactions: the tallies of a message, in the message's window. reactors: who is in a round of an emoji, in the round's window; a round
// that ended is never named again, so the tombstone over it may share a stamp with what it covers. pins: all of a channel in one row.
package cql
