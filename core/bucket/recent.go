package bucket

import (
	"time"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// memory is how long results of commands and enforced nonces are kept.
const memory = 5 * time.Minute

// commandID is a command's id as a map key.
type commandID [16]byte

// nonceKey is what an enforced nonce is unique under.
type nonceKey struct {
	author, channel proto.ID
	nonce           string
}

// A memo is what is kept of an event that a command was answered from. The sequence is 0 until the log has the entry.
type memo struct {
	event    *pb.Event
	sequence uint64
}

// recent holds what the bucket's commands of the last minutes were answered from, so that a repeated command, or nonce, gets the first
// answer. It is learned from the log at take-over. It belongs to the bucket's goroutine.
type recent struct {
	commands map[commandID]*memo
	nonces   map[nonceKey]*memo
	order    []forgettable // by time
}

type forgettable struct {
	at       time.Time
	command  commandID
	nonce    nonceKey
	hasNonce bool
}

func newRecent() *recent {
	return &recent{commands: map[commandID]*memo{}, nonces: map[nonceKey]*memo{}}
}

// learn remembers an event that answers a command; events without a command count for nothing.
func (r *recent) learn(ev *pb.Event, sequence uint64, at time.Time) *memo {
	if len(ev.Command) == 0 {
		return nil
	}
	m := &memo{event: kept(ev), sequence: sequence}
	f := forgettable{at: at, command: commandID(padded(ev.Command))}
	r.commands[f.command] = m
	if ev.Nonce != "" && ev.Type == proto.EventMessageCreate {
		f.nonce, f.hasNonce = nonceKey{proto.ID(ev.Author), proto.ID(ev.Channel), ev.Nonce}, true
		r.nonces[f.nonce] = m
	}
	r.order = append(r.order, f)
	return m
}

// kept is what answers are made from: at full load minutes of it are most of an owner's memory, so it does not hold on to the rest.
func kept(ev *pb.Event) *pb.Event {
	return &pb.Event{Type: ev.Type, Guild: ev.Guild, Channel: ev.Channel, Id: ev.Id, Author: ev.Author, User: ev.User, Status: ev.Status, Body: ev.Body}
}

// forget drops what is older than memory.
func (r *recent) forget(now time.Time) {
	n := 0
	for n < len(r.order) && now.Sub(r.order[n].at) > memory {
		f := r.order[n]
		delete(r.commands, f.command)
		if f.hasNonce {
			delete(r.nonces, f.nonce)
		}
		n++
	}
	if n == len(r.order) {
		r.order = nil
	} else {
		r.order = r.order[n:]
	}
}

func (r *recent) command(id []byte) *memo { return r.commands[commandID(padded(id))] }

func (r *recent) nonce(k nonceKey) *memo { return r.nonces[k] }

// padded makes 16 bytes of an id; longer ids were refused on arrival.
func padded(id []byte) []byte {
	if len(id) == 16 {
		return id
	}
	p := make([]byte, 16)
	copy(p, id)
	return p
}
