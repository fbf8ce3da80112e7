package chat

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"slices"

	"github.com/starling-chat/starling/proto"
)

// marks is how far this person has read each channel, kept on this machine.
type marks struct {
	path  string // empty: kept nowhere
	read  map[proto.ID]proto.ID
	dirty bool
}

const maxMarked = 5000 // channels in the file; the longest unread are forgotten first

// openMarks reads the file of one account. A file that cannot be read is begun anew: it holds nothing that would be missed for long.
func openMarks(getenv func(string) string, url, user string) *marks {
	m := &marks{read: map[proto.ID]proto.ID{}}
	dir, err := folder(getenv, "XDG_STATE_HOME", ".local/state")
	if err != nil {
		return m
	}
	sum := sha256.Sum256([]byte(url + "\n" + user))
	m.path = filepath.Join(dir, "read-"+hex.EncodeToString(sum[:8])+".json")
	readJSON(m.path, &m.read)
	if m.read == nil {
		m.read = map[proto.ID]proto.ID{}
	}
	return m
}

// see moves the mark of a channel forward.
func (m *marks) see(channel, message proto.ID) {
	if m.read[channel] < message {
		m.read[channel] = message
		m.dirty = true
	}
}

// snapshot is what save writes; nil where nothing has changed.
func (m *marks) snapshot() map[proto.ID]proto.ID {
	if !m.dirty || m.path == "" {
		return nil
	}
	m.dirty = false
	ids := make([]proto.ID, 0, len(m.read))
	for ch := range m.read {
		ids = append(ids, ch)
	}
	slices.SortFunc(ids, func(a, b proto.ID) int { return cmp.Compare(m.read[b], m.read[a]) })
	kept := make(map[proto.ID]proto.ID, min(len(ids), maxMarked))
	for _, ch := range ids[:min(len(ids), maxMarked)] {
		kept[ch] = m.read[ch]
	}
	return kept
}
