package relay

import (
	"sync"
	"time"

	chat "github.com/starling-chat/starling/proto"
)

// quiets are the buckets that nothing has happened in of late, by what their owners say. Most are at any time, users' homes above all: whoever
// begins to follow one of these need not ask the log. Any goroutine may call it.
type quiets struct {
	mu  sync.Mutex
	all [chat.Buckets]quiet
}

// A quiet is where digests have a bucket.
type quiet struct {
	at           place
	incarnation  uint64
	since, heard time.Time // the first and the last that said so
}

// hear takes in a digest.
func (q *quiets) hear(d *digest, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for bucket, at := range d.positions {
		k := &q.all[bucket]
		if k.at != at || k.incarnation != d.incarnation || now.Sub(k.heard) > suspectAfter {
			*k = quiet{at: at, incarnation: d.incarnation, since: now}
		}
		k.heard = now
	}
}

// of tells where a bucket is that has been quiet for as long as whoever begins with it has to look back. Should it be so no more, its next entry tells,
// its owner's next digest, or the log, which is asked later.
func (q *quiets) of(bucket int, now time.Time) (k quiet, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	k = q.all[bucket]
	return k, k.at.sequence > 0 && k.heard.Sub(k.since) >= followBack && now.Sub(k.heard) < suspectAfter
}
