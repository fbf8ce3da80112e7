package pebble

import (
	"fmt"
	"sync"

	engine "github.com/cockroachdb/pebble/v2"

	"github.com/starling-chat/starling/proto"
)

const channelsMax = 1 << 16

// channels remembers of each channel that is written to what Apply would have to look up for every message.
type channels struct {
	mu    sync.Mutex
	known map[proto.ID]*channelFacts
}

// channelFacts are of what is in the database, or about to be.
type channelFacts struct {
	top     proto.ID // no message above it has a record, be it a tombstone
	last    proto.ID // the id of the newest message ever sent, as stored
	gone    bool     // deleted
	deleted version  // by this
}

// facts gives those of a channel, read once.
func (s *Store) facts(channel proto.ID) (channelFacts, error) {
	if f, ok := s.channels.get(channel); ok {
		return f, nil
	}
	found, err := s.readFacts(channel)
	if err != nil {
		return channelFacts{}, fmt.Errorf("channel %d: %w", channel, err)
	}
	s.channels.mu.Lock()
	defer s.channels.mu.Unlock()
	if f := s.channels.known[channel]; f != nil { // somebody else was quicker, and may have written since
		return *f, nil
	}
	if len(s.channels.known) >= channelsMax || s.channels.known == nil {
		s.channels.known = map[proto.ID]*channelFacts{}
	}
	s.channels.known[channel] = &found
	return found, nil
}

func (c *channels) get(channel proto.ID) (channelFacts, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.known[channel]; f != nil {
		return *f, true
	}
	return channelFacts{}, false
}

// fresh tells that no record of a message can be there, and that whoever asks next has to look: the caller is about to write one.
func (c *channels) fresh(channel, id proto.ID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.known[channel]
	if f == nil || id <= f.top {
		return false
	}
	f.top = id
	return true
}

// change has f change what is known of a channel, if anything is.
func (c *channels) change(channel proto.ID, f func(*channelFacts)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.known[channel]; known != nil {
		f(known)
	}
}

func (s *Store) readFacts(channel proto.ID) (f channelFacts, err error) {
	last, err := s.get(lastKey(channel))
	if err != nil {
		return f, err
	}
	if last != nil {
		if f.last, err = decodeID(last); err != nil {
			return f, err
		}
	}
	deleted, err := s.get(deletedKey(channel))
	if err != nil {
		return f, err
	}
	if f.gone = deleted != nil; f.gone {
		if f.deleted, err = decodeVersion(deleted); err != nil {
			return f, err
		}
	}
	it, err := s.db.NewIter(&engine.IterOptions{LowerBound: channelKey(prefixMessage, channel), UpperBound: channelKey(prefixMessage, channel+1)})
	if err != nil {
		return f, err
	}
	defer it.Close()
	if it.Last() {
		if f.top, err = decodeID(it.Key()[9:]); err != nil {
			return f, err
		}
	}
	return f, it.Error()
}
