package presence

import (
	"context"
	"testing"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

func change(user proto.ID, before, after proto.Status) core.PresenceChange {
	return core.PresenceChange{Before: core.Presence{User: user, Status: before}, After: core.Presence{User: user, Status: after}}
}

// Users wait in turn, each once, with what others knew before the first change.
func TestQueue(t *testing.T) {
	q := newAnnouncements(3)
	q.add(change(1, "", "online"))
	q.add(change(2, "idle", ""))
	q.add(change(1, "online", "dnd"))
	if q.full() {
		t.Fatal("full with two of three")
	}
	q.add(change(3, "", "idle"))
	if !q.full() {
		t.Fatal("not full with three of three")
	}
	batch := q.take(t.Context(), 2)
	if len(batch) != 2 || batch[0].user != 1 || batch[0].known.Status != "" || batch[1].user != 2 || batch[1].known.Status != "idle" {
		t.Fatalf("took %+v", batch)
	}
	if !q.full() {
		t.Error("those under way do not count")
	}
	q.add(change(1, "dnd", "online"))
	q.settle(2, batch[:1]) // nobody could be told of the first: what others know is as old as that
	if !q.full() {
		q.add(change(4, "", "idle"))
	}
	rest := q.take(t.Context(), 10)
	if len(rest) != 3 || rest[0].user != 3 || rest[1].user != 1 || rest[1].known.Status != "" || rest[2].user != 4 {
		t.Fatalf("took %+v", rest)
	}
	q.settle(3, nil)
	q.close()
	if got := q.take(t.Context(), 1); got != nil {
		t.Errorf("took %+v of a closed queue", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := newAnnouncements(1).take(ctx, 1); got != nil {
		t.Errorf("took %+v after the end", got)
	}
}
