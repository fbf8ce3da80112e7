package chat

import (
	"cmp"
	"slices"

	"github.com/starling-chat/starling/proto"
)

// A timeline is the part of a channel's messages that is loaded, oldest first, without a hole.
type timeline struct {
	entries  []*entry
	loaded   bool // the newest page has come
	loading  bool
	whole    bool // the channel's first message is among them
	detached bool // the newest are not among them: they were dropped while one read far above
	trouble  string
	gone     []proto.ID // deleted a moment ago: a page read before must not bring them back
	newFrom  proto.ID   // first message that was unread when the channel was opened; 0 = none
	scroll   int        // lines below the window; 0 = the newest are shown
	chosen   proto.ID   // message that keys act on; 0 = none
}

const (
	pageSize   = 50
	maxEntries = 2000 // of one channel
	maxGone    = 200
)

func (t *timeline) at(id proto.ID) (int, bool) {
	return slices.BinarySearchFunc(t.entries, id, func(e *entry, id proto.ID) int { return cmp.Compare(e.id, id) })
}

func (t *timeline) find(id proto.ID) *entry {
	if i, ok := t.at(id); ok {
		return t.entries[i]
	}
	return nil
}

// put adds a message or replaces it.
func (t *timeline) put(e *entry) {
	if slices.Contains(t.gone, e.id) {
		return
	}
	i, ok := t.at(e.id)
	if ok {
		t.entries[i] = e
		return
	}
	t.entries = slices.Insert(t.entries, i, e)
}

// add puts a live message. Where the newest are not loaded it is left to the next load.
func (t *timeline) add(e *entry) {
	if !t.loaded || t.detached {
		return
	}
	t.put(e)
	if over := len(t.entries) - maxEntries; over > 0 && t.scroll == 0 {
		t.entries, t.whole = slices.Delete(t.entries, 0, over), false
	}
}

// older puts a page of messages before the first; short means that there are no more.
func (t *timeline) older(page []*entry, short bool) {
	for _, e := range page {
		t.put(e)
	}
	t.whole = t.whole || short
	if len(t.entries) > maxEntries {
		t.entries, t.detached = t.entries[:maxEntries:maxEntries], true
	}
}

// newest takes the newest page over: what was loaded before is dropped, there may be a hole between.
func (t *timeline) newest(page []*entry, short bool) {
	live := t.entries
	t.entries, t.loaded, t.detached, t.whole, t.scroll = nil, true, false, short, 0
	for _, e := range page {
		t.put(e)
	}
	for _, e := range live { // came while the page was on its way
		if len(t.entries) == 0 || e.id > t.entries[len(t.entries)-1].id {
			t.put(e)
		}
	}
}

func (t *timeline) remove(id proto.ID) {
	if t.gone = append(t.gone, id); len(t.gone) > maxGone {
		t.gone = slices.Delete(t.gone, 0, maxGone/2)
	}
	if i, ok := t.at(id); ok {
		t.entries = slices.Delete(t.entries, i, i+1)
	}
	if t.chosen == id {
		t.chosen = 0
	}
}

// choose moves the choice by one; false at the end.
func (t *timeline) choose(by int) bool {
	if len(t.entries) == 0 {
		return false
	}
	i := len(t.entries)
	if t.chosen != 0 {
		i, _ = t.at(t.chosen)
	}
	i += by
	if i >= len(t.entries) {
		t.chosen = 0
		return false
	}
	if i >= 0 {
		t.chosen = t.entries[i].id
	}
	return i >= 0
}
