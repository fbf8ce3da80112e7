package ownership

import (
	"encoding/binary"
	"time"

	"github.com/cespare/xxhash/v2"
)

const (
	beatEvery = 500 * time.Millisecond
	deadAfter = 2 * time.Second // without a beat
)

// A holder is one start of a core: what a record names.
type holder struct {
	core string
	boot uint64
}

// A member is a core that was heard.
type member struct {
	holder
	heard   time.Time
	leaving bool // owns nothing more
	drained bool // is leaving by an operator's wish
}

// members are the other cores, by name: a core that starts again takes the place of what it was.
type members map[string]*member

// hear notes a beat. It tells whether it changes who should own what.
func (ms members) hear(h holder, leaving, drained bool, now time.Time) (changed bool) {
	m := ms[h.core]
	if m == nil {
		m = &member{}
		ms[h.core] = m
		changed = true
	}
	changed = changed || m.holder != h || m.leaving != leaving || m.drained != drained
	m.holder, m.leaving, m.drained, m.heard = h, leaving, drained, now
	return changed
}

// excuse counts every member as heard now: this core was the one that was away.
func (ms members) excuse(now time.Time) {
	for _, m := range ms {
		m.heard = now
	}
}

// bury forgets members that are dead.
func (ms members) bury(now time.Time) (dead []holder) {
	for name, m := range ms {
		if now.Sub(m.heard) >= deadAfter {
			dead = append(dead, m.holder)
			delete(ms, name)
		}
	}
	return dead
}

// wanted is who should own a bucket: of the candidates the one whose hash with the bucket is highest (rendezvous hashing, Thaler and
// Ravishankar 1998), so that a core that comes or goes moves only its own share.
func wanted(bucket int, candidates []holder) (best holder, ok bool) {
	var top uint64
	for _, h := range candidates {
		score := xxhash.Sum64(binary.BigEndian.AppendUint32([]byte(h.core), uint32(bucket)))
		if !ok || score > top || score == top && h.core < best.core {
			best, top, ok = h, score, true
		}
	}
	return best, ok
}
