package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/starling-chat/starling/proto/pb"
)

const (
	// followBack is how far before the last entry a fresh follow begins. The owner may not yet have counted the last entries into the
	// snapshots that its readers ask for next.
	followBack = 5 * time.Second
	// followRecent bounds the above to buckets in which something happened lately, clocks being what they are.
	followRecent = time.Minute
)

// A logged entry as a repair reads it; entry is nil if it cannot be decoded.
type logged struct {
	sequence uint64
	entry    *pb.Entry
}

// begin fixes the position of a bucket whose subscriptions stand. It tries until it can; false means that the bucket was closed.
func (f *follow) begin() bool {
	for try := 0; f.alive(); try++ {
		at, inc, want, err := f.first()
		if err != nil {
			f.wait(try)
			continue
		}
		f.mu.Lock()
		f.at, f.inc, f.want, f.fixed = at, inc, max(want, f.want), true
		f.mu.Unlock()
		f.r.cfg.OnStart(f.bucket, at.sequence)
		close(f.ready)
		return want <= at.sequence || f.readUp()
	}
	return false
}

// first finds where to begin. Only a bucket that is new here may believe digests: whoever begins anew has seen that something is not as they say.
func (f *follow) first() (at place, inc, want uint64, err error) {
	if k, ok := f.r.quiets.of(f.bucket, time.Now()); ok {
		begins.WithLabelValues("digest").Inc()
		f.mu.Lock()
		f.believed = time.Now()
		f.mu.Unlock()
		return k.at, k.incarnation, k.at.sequence, nil
	}
	begins.WithLabelValues("log").Inc()
	return f.base()
}

// base finds in the log where to begin now. want is the last entry that exists.
func (f *follow) base() (at place, inc, want uint64, err error) {
	last, err := f.r.lasts.of(f.r.ctx, f.bucket)
	if errors.Is(err, errNone) {
		return place{}, 0, 0, nil
	}
	if err != nil {
		return at, 0, 0, err
	}
	at.sequence = last.sequence
	if e, err := decodeEntry(last.data); err == nil {
		at.counter, inc = e.Counter, e.Incarnation
	}
	if time.Since(last.at) > followRecent {
		return at, inc, last.sequence, nil
	}
	ctx, done, err := f.slot()
	if err != nil {
		return at, 0, 0, err
	}
	defer done()
	stream, err := f.r.streamOf(ctx, f.bucket)
	if err != nil {
		return at, 0, 0, err
	}
	start := last.at.Add(-followBack)
	req := getRequest{StartTime: &start, NextFor: LogSubject(f.r.bus.region, f.bucket), Batch: 1}
	_, _, err = f.r.bus.getBatch(ctx, stream, req, func(s stored) error {
		if e, err := decodeEntry(s.data); err == nil && e.Incarnation == inc && s.sequence <= last.sequence {
			at = place{s.sequence - 1, e.Counter - 1}
		}
		return nil
	})
	if err != nil && !errors.Is(err, errNone) {
		return at, 0, 0, err
	}
	return at, inc, last.sequence, nil
}

// repair closes a gap; false means that the bucket was closed.
func (f *follow) repair(reason gapReason) bool {
	repairs.Inc()
	if reason == gapIncarnation {
		same, ok := f.verify()
		if !ok {
			return false
		}
		if !same {
			return f.reset(resetRemade)
		}
	}
	return f.readUp()
}

// readUp applies what the log has beyond the position, until it has what is wanted and no more; false means that the bucket was closed.
func (f *follow) readUp() bool {
	empty, failed := 0, 0
	for f.alive() {
		entries, more, err := f.fetch()
		if err != nil && !errors.Is(err, errNone) {
			f.wait(failed)
			failed++
			continue
		}
		failed = 0
		for _, l := range entries {
			if !f.alive() {
				return false
			}
			switch {
			case l.entry == nil:
				return f.reset(resetUnreadable)
			case f.inc != 0 && l.entry.Incarnation != f.inc:
				return f.reset(resetRemade)
			case !f.continues(l.entry):
				return f.reset(resetAged)
			}
			f.apply(l.sequence, l.entry)
			repaired.Inc()
		}
		if len(entries) > 0 {
			empty = 0
		}
		if more && len(entries) > 0 {
			continue
		}
		f.mu.Lock()
		there := f.want <= f.at.sequence
		f.mu.Unlock()
		if there {
			return true
		}
		if len(entries) > 0 {
			continue
		}
		if staleIsEnd {
			return f.reset(resetAged)
		}
		// A stale replica, an entry on its way to the log, or one that is gone.
		if empty++; empty <= readTries {
			f.wait(empty - 1)
			continue
		}
		gone, err := f.askLeader()
		switch {
		case err != nil:
			f.wait(empty)
		case gone && f.at.sequence == 0:
			// The log was empty when we began, since what the owner speaks of is older than the log reaches.
			f.mu.Lock()
			f.at.sequence = f.want
			f.mu.Unlock()
		case gone:
			return f.reset(resetAged)
		default:
			empty = 0
		}
	}
	return false
}

// fetch reads one batch beyond the position; more tells that there is another.
func (f *follow) fetch() (entries []logged, more bool, err error) {
	ctx, done, err := f.slot()
	if err != nil {
		return nil, false, err
	}
	defer done()
	stream, err := f.r.streamOf(ctx, f.bucket)
	if err != nil {
		return nil, false, err
	}
	req := getRequest{
		Seq: f.at.sequence + 1, NextFor: LogSubject(f.r.bus.region, f.bucket), Batch: batchMessages, MaxBytes: batchBytes,
	}
	pending, _, err := f.r.bus.getBatch(ctx, stream, req, func(s stored) error {
		if s.sequence < req.Seq || len(entries) >= batchMessages {
			return fmt.Errorf("direct get: sequence %d of %d and on", s.sequence, req.Seq)
		}
		req.Seq = s.sequence + 1
		e, err := decodeEntry(s.data)
		if err != nil {
			malformed.Inc()
			e = nil
		}
		entries = append(entries, logged{s.sequence, e})
		return nil
	})
	if err != nil && len(entries) > 0 && !errors.Is(err, errNone) {
		return entries, true, nil // cut short, but what came is good
	}
	return entries, pending > 0, err
}

// askLeader tells whether what is wanted is gone for good. A sequence that never was is forgotten.
func (f *follow) askLeader() (gone bool, err error) {
	ctx, done, err := f.slot()
	if err != nil {
		return false, err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, getWait) // an answer may be lost, and others wait for the slot
	defer cancel()
	stream, err := f.r.streamOf(ctx, f.bucket)
	if err != nil {
		return false, err
	}
	meta, err := f.r.inspect(ctx, stream)
	if err != nil {
		return false, err
	}
	if f.inc != 0 && meta.incarnation != f.inc {
		f.suspect(gapIncarnation)
		return false, nil
	}
	body, err := json.Marshal(getRequest{LastFor: LogSubject(f.r.bus.region, f.bucket)})
	if err != nil {
		return false, err
	}
	m, err := f.r.bus.request(ctx, &nats.Msg{Subject: apiPrefix(f.r.bus.region) + ".STREAM.MSG.GET." + stream, Data: body})
	if err != nil {
		return false, err
	}
	var answer struct {
		Message *struct {
			Sequence uint64 `json:"seq"`
		} `json:"message"`
		Error *apiError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return false, err
	}
	switch {
	case answer.Error != nil && answer.Error.Code == codeNoMessage:
		return true, nil // all aged out, with what we lack among it
	case answer.Error != nil || answer.Message == nil:
		return false, fmt.Errorf("last entry: %v", answer.Error)
	case answer.Message.Sequence <= f.at.sequence:
		f.mu.Lock()
		f.want = f.at.sequence
		f.mu.Unlock()
	}
	return false, nil
}

// verify tells whether the log is still the one that the position is of; ok is false if the bucket was closed.
func (f *follow) verify() (same, ok bool) {
	for try := 0; f.alive(); try++ {
		ctx, done, err := f.slot()
		if err != nil {
			break
		}
		meta, err := func() (streamMeta, error) {
			defer done()
			stream, err := f.r.streamOf(ctx, f.bucket)
			if err != nil {
				return streamMeta{}, err
			}
			return f.r.inspect(ctx, stream)
		}()
		if err == nil {
			return f.inc == 0 || meta.incarnation == f.inc, true
		}
		f.wait(try)
	}
	return false, false
}

// Why a position is given up.
type resetCause int

const (
	resetAged       resetCause = iota // the log no longer reaches back to it
	resetRemade                       // it is of another log
	resetUnreadable                   // the next entry cannot be read
)

// reset begins anew where the log is now and has the bucket's user rebuild; false means that the bucket was closed.
func (f *follow) reset(cause resetCause) bool {
	for try := 0; f.alive(); try++ {
		at, inc, want, err := f.base()
		if err != nil {
			f.wait(try)
			continue
		}
		resets.Inc()
		f.mu.Lock()
		switch {
		case cause == resetUnreadable:
			at = place{sequence: want} // beyond it, not before it again
		case cause == resetAged && inc == 0:
			at, inc = place{sequence: max(f.at.sequence, f.want)}, f.inc // all is gone, also what the owner speaks of
		case inc == f.inc && at.sequence < f.at.sequence:
			at = place{sequence: f.at.sequence} // nothing twice
		}
		f.at, f.inc, f.want = at, inc, want
		f.mu.Unlock()
		f.r.log.Warn("bucket begins anew", "bucket", f.bucket, "sequence", at.sequence)
		f.r.cfg.OnReset(f.bucket)
		f.r.cfg.OnStart(f.bucket, at.sequence)
		return f.readUp()
	}
	return false
}

// slot waits for leave to read the log.
func (f *follow) slot() (ctx context.Context, done func(), err error) {
	select {
	case f.r.slots <- struct{}{}:
		return f.r.ctx, func() { <-f.r.slots }, nil
	case <-f.r.ctx.Done():
		return nil, nil, f.r.ctx.Err()
	}
}

// alive tells whether anybody may still want the bucket.
func (f *follow) alive() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.closed && f.r.ctx.Err() == nil
}

// wait before try n+1 of something that failed.
func (f *follow) wait(n int) { _ = pause(f.r.ctx, n) }
