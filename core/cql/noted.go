package cql

import (
	"sync"

	"github.com/starling-chat/starling/proto"
)

// notedSize bounds the memory of noted: some 64 bytes each.
const notedSize = 200_000

// Noted remembers which windows this process has noted in channel_windows, each with the newest id written to it, so that it writes
// neither again for every message. It may forget: a note written twice does no harm.
type noted struct {
	mu         sync.Mutex
	young, old map[partition]proto.ID // young becomes old when half the size is reached
}

// A partition of table messages.
type partition struct {
	channel proto.ID
	window  int
}

// last is the newest id that was written with the note of a partition; 0 if there is no note.
func (n *noted) last(p partition) proto.ID {
	n.mu.Lock()
	defer n.mu.Unlock()
	return max(n.young[p], n.old[p])
}

func (n *noted) add(p partition, id proto.ID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	id = max(id, n.young[p], n.old[p])
	if n.young == nil || len(n.young) >= notedSize/2 {
		n.old, n.young = n.young, map[partition]proto.ID{}
	}
	n.young[p] = id
}

// forget drops all notes of a channel.
func (n *noted) forget(channel proto.ID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, m := range []map[partition]proto.ID{n.young, n.old} {
		for p := range m {
			if p.channel == channel {
				delete(m, p)
			}
		}
	}
}
