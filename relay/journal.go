package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto/pb"
)

// JournalLimit is how many bytes a record of a journal may have.
const JournalLimit = 1 << 20

const (
	journalRoom   = 64 << 20 // bytes of records that are not acknowledged
	resendAfter   = time.Second
	resendLook    = 250 * time.Millisecond
	resendAtOnce  = 1 << 20          // bytes per look: when the hubs are away it is no use to send them all
	flushPatience = 30 * time.Second // a connection that is dead ends before
)

// ErrJournalFull says that too much waits for the hubs: nothing was written.
var ErrJournalFull = errors.New("too many records of the journal are not acknowledged")

// A Journal writes what an edge numbers to the hubs, where cores read it when a session resumes elsewhere. Write has one caller at a time; all
// else any goroutine may call.
type Journal struct {
	bus     *Bus
	subject string
	boot    uint64
	room    int
	started chan struct{} // closed once answers are heard
	inbox   string        // answers come to <inbox>.<number>

	writing sync.Mutex // Write and what sends again after a reconnect: records leave in order

	mu      sync.Mutex
	number  uint64           // of the last record
	to      int64            // where it ended
	acked   int64            // where the last one ended before which none is missing
	waiting []*journalRecord // in order, the first not acknowledged
	bytes   int              // of those
	changed chan struct{}    // closed and made anew when the front moves
}

// A journalRecord waits for its acknowledgement.
type journalRecord struct {
	number   uint64
	from, to int64
	body     []byte
	written  time.Time
	sent     time.Time
	acked    bool
}

// OpenJournal begins the journal of this start of an edge, on the edge's connection to its leaf. Nothing is written before Run runs.
func OpenJournal(bus *Bus, edge string) *Journal {
	return &Journal{bus: bus, subject: JournalSubject(edge), boot: uint64(time.Now().UnixNano()), room: journalRoom, inbox: bus.nc.NewRespInbox(),
		started: make(chan struct{}), changed: make(chan struct{})}
}

// Boot tells this start of the edge from others: it rises with each.
func (j *Journal) Boot() uint64 { return j.boot }

// Write completes a record, whose To and contents the caller has filled in, and returns once its bytes have left the process: whatever happens
// to it now, they arrive. While there is no connection it waits. After ErrJournalFull nothing was written. After any other error of a record
// that could be, which is ctx's, it counts as written, and is sent when that is possible.
func (j *Journal) Write(ctx context.Context, r *pb.JournalRecord) error {
	select {
	case <-j.started:
	case <-ctx.Done():
		return fmt.Errorf("journal: not running: %w", ctx.Err())
	}
	rec, err := j.take(r)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return j.send(ctx, rec)
}

// take numbers a record and has it wait.
func (j *Journal) take(r *pb.JournalRecord) (*journalRecord, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if r.To < j.to {
		return nil, fmt.Errorf("a record that ends at %d behind one that ends at %d", r.To, j.to)
	}
	now := time.Now()
	r.Boot, r.Number, r.From, r.TimeMs = j.boot, j.number+1, j.to, now.UnixMilli()
	body, err := proto.Marshal(r)
	if err != nil {
		return nil, err
	}
	if len(body) > JournalLimit {
		return nil, fmt.Errorf("record of %d bytes: %w", len(body), ErrTooLarge)
	}
	if j.bytes+len(body) > j.room {
		return nil, ErrJournalFull
	}
	rec := &journalRecord{number: r.Number, from: r.From, to: r.To, body: body, written: now}
	j.number, j.to, j.bytes, j.waiting = r.Number, r.To, j.bytes+len(body), append(j.waiting, rec)
	journalBytes.Set(float64(j.bytes))
	return rec, nil
}

// send publishes a record until a connection has taken it: an answer to a ping says that the leaf has read all before. After a lost
// connection everything that waits goes out again, in order.
func (j *Journal) send(ctx context.Context, rec *journalRecord) error {
	j.writing.Lock()
	defer j.writing.Unlock()
	for records := []*journalRecord{rec}; ; records = j.unacked() {
		if _, err := j.bus.awaitConnection(ctx); err != nil {
			return fmt.Errorf("journal: %w", err)
		}
		err := j.publish(records)
		if err == nil {
			flush, cancel := context.WithTimeout(ctx, flushPatience)
			err = j.bus.nc.FlushWithContext(flush)
			cancel()
		}
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("journal: %w", ctx.Err())
		}
		if err := pause(ctx, 0); err != nil {
			return fmt.Errorf("journal: %w", err)
		}
	}
}

func (j *Journal) unacked() []*journalRecord {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(j.waiting), func(r *journalRecord) bool { return r.acked })
}

// publish hands records to the connection. Callers hold writing.
func (j *Journal) publish(records []*journalRecord) error {
	now := time.Now()
	for _, r := range records {
		if err := j.bus.nc.PublishRequest(j.subject, j.inbox+"."+strconv.FormatUint(r.number, 10), r.body); err != nil {
			return err
		}
		j.mu.Lock()
		r.sent = now
		j.mu.Unlock()
	}
	return nil
}

// Run hears the hubs' answers and sends again what they do not acknowledge, until ctx ends.
func (j *Journal) Run(ctx context.Context) error {
	sub, err := j.bus.nc.Subscribe(j.inbox+".*", j.onAnswer)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	close(j.started)
	back := make(chan struct{}, 1)
	defer j.bus.watch(func(reason gapReason, _ string) {
		if reason == gapReconnect {
			select {
			case back <- struct{}{}:
			default:
			}
		}
	})()
	tick := time.NewTicker(resendLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-back:
			j.resend(0)
		case <-tick.C:
			j.resend(resendAfter)
		}
	}
}

// resend sends the oldest records again that were last sent so long ago. What fails is tried at the next look, as is all while a Write waits for
// a connection.
func (j *Journal) resend(after time.Duration) {
	if !j.writing.TryLock() {
		return
	}
	defer j.writing.Unlock()
	due, size, now := []*journalRecord(nil), 0, time.Now()
	for _, r := range j.unacked() {
		j.mu.Lock()
		sent := r.sent
		j.mu.Unlock()
		if now.Sub(sent) < after {
			continue
		}
		if size += len(r.body); size > resendAtOnce && len(due) > 0 {
			break
		}
		due = append(due, r)
	}
	if len(due) > 0 {
		journalResends.Add(float64(len(due)))
		_ = j.publish(due)
	}
}

// onAnswer takes the answer to one record. What is no acknowledgement of a stream, as when there is none, changes nothing.
func (j *Journal) onAnswer(m *nats.Msg) {
	number, err := strconv.ParseUint(m.Subject[strings.LastIndexByte(m.Subject, '.')+1:], 10, 64)
	var ack pubAck
	if err != nil || json.Unmarshal(m.Data, &ack) != nil || ack.Error != nil || ack.Sequence == 0 {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.waiting) == 0 || number < j.waiting[0].number || number-j.waiting[0].number >= uint64(len(j.waiting)) {
		return
	}
	j.waiting[number-j.waiting[0].number].acked = true
	n := 0
	for n < len(j.waiting) && j.waiting[n].acked {
		j.acked, j.bytes = j.waiting[n].to, j.bytes-len(j.waiting[n].body)
		n++
	}
	if n > 0 {
		clear(j.waiting[:n])
		j.waiting = j.waiting[n:]
		close(j.changed)
		j.changed = make(chan struct{})
		journalBytes.Set(float64(j.bytes))
	}
}

// Acked is the highest index up to which all records are acknowledged.
func (j *Journal) Acked() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.acked
}

// WaitAcked returns once everything is acknowledged that was written before the call and speaks of indices up to one: a start or a snapshot at it
// too, which takes none.
func (j *Journal) WaitAcked(ctx context.Context, index int64) error {
	j.mu.Lock()
	var last uint64
	for _, r := range j.waiting {
		if r.from < index || r.to <= index {
			last = r.number
		}
	}
	j.mu.Unlock()
	for {
		j.mu.Lock()
		there, changed := len(j.waiting) == 0 || j.waiting[0].number > last, j.changed
		j.mu.Unlock()
		if there {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("journal: %d acknowledged of %d: %w", j.Acked(), index, ctx.Err())
		}
	}
}

// Oldest is the age of the oldest record that is not acknowledged, 0 if there is none.
func (j *Journal) Oldest() time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.waiting) == 0 {
		return 0
	}
	return time.Since(j.waiting[0].written)
}
