package inside

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/cql"
	"github.com/starling-chat/starling/core/pebble"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

const (
	perEntry = 100 // messages in an entry that fills
	perApply = 5   // entries
	filling  = 4   // applies at once, each of a bucket of its own as owners do it
)

// content is of the length that messages have on average.
var content = strings.Repeat("a word or two, ", 8)

// ContentLength is of each message that Fill writes.
var ContentLength = len(content)

// History is the store, to those outside.
type History = core.History

// OpenPebble opens the history of an embedded core that does not run, by the core's data folder.
func OpenPebble(dir string) (History, error) { return pebble.Open(dir + "/history") }

// OpenCQL opens the history that a mesh of `starling dev --cql hosts` has.
func OpenCQL(ctx context.Context, hosts string) (History, error) {
	return cql.Open(ctx, cql.Config{Hosts: strings.Split(hosts, ","), Replication: 1, Log: slog.New(slog.DiscardHandler)})
}

// Fill writes a message under each id. told hears now and then how many are written.
func Fill(ctx context.Context, h History, channel proto.ID, ids []proto.ID, told func(int)) error {
	chunks := slices.Collect(slices.Chunk(ids, perEntry*perApply))
	errs := make([]error, filling)
	var next, written atomic.Int64
	var fillers sync.WaitGroup
	for f := range filling {
		fillers.Go(func() {
			bucket := (channel.Bucket() + 1 + f) % proto.Buckets
			at, err := h.Checkpoint(ctx, bucket)
			if err != nil {
				errs[f] = err
				return
			}
			for n := int(next.Add(1)) - 1; n < len(chunks) && errs[f] == nil; n = int(next.Add(1)) - 1 {
				var batch []core.Applied
				for part := range slices.Chunk(chunks[n], perEntry) {
					at.Sequence, at.Counter, at.Epoch = at.Sequence+1, at.Counter+1, max(at.Epoch, 1)
					batch = append(batch, core.Applied{Bucket: bucket, Sequence: at.Sequence, Entry: entry(at, channel, part)})
				}
				errs[f] = h.Apply(ctx, batch)
				if total := int(written.Add(int64(len(chunks[n])))); total/100_000 != (total-len(chunks[n]))/100_000 {
					told(total)
				}
			}
		})
	}
	fillers.Wait()
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("fill channel %d: %w", channel, err)
		}
	}
	return nil
}

// entry is what an owner would have appended for messages of one channel.
func entry(at core.Checkpoint, channel proto.ID, ids []proto.ID) *pb.Entry {
	e := &pb.Entry{Epoch: at.Epoch, Counter: at.Counter, LastId: uint64(ids[len(ids)-1])}
	author := proto.NewUser(channel, "proof", true)
	for _, id := range ids {
		body, err := json.Marshal(proto.Message{ID: id, ChannelID: channel, Author: author, Content: content, Timestamp: proto.Time(id.Time()),
			Mentions: []proto.User{}, MentionRoles: []proto.ID{}, Attachments: []proto.Nothing{}, Embeds: []proto.Nothing{},
			Components: []proto.Nothing{}})
		if err != nil { // a message is text and numbers
			panic(err)
		}
		e.Events = append(e.Events, &pb.Event{Type: proto.EventMessageCreate, Guild: uint64(channel), Channel: uint64(channel), Id: uint64(id),
			Author: uint64(author.ID), Body: proto.EventBody(body, channel, nil)}) // any guild: stores keep none
	}
	return e
}

// Pages reads the page of n before each of the ids, one after the other in each of two readers, and gives what each took. Every page has to
// be full.
func Pages(ctx context.Context, h History, channel proto.ID, before []proto.ID, n int) ([]time.Duration, error) {
	return Timed(len(before), 2, func(i int) error {
		page, err := h.Before(ctx, channel, before[i], n)
		if err == nil && len(page) != n {
			err = fmt.Errorf("channel %d before %d: %d messages, want %d", channel, before[i], len(page), n)
		}
		return err
	})
}

// Timed calls f for 0 to n-1 from some goroutines and gives what each call took.
func Timed(n, readers int, f func(i int) error) ([]time.Duration, error) {
	took, errs := make([]time.Duration, n), make([]error, readers)
	var next atomic.Int64
	var all sync.WaitGroup
	for r := range readers {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && errs[r] == nil; i = int(next.Add(1)) - 1 {
				from := time.Now()
				errs[r] = f(i)
				took[i] = time.Since(from)
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(took)
	return took, nil
}
