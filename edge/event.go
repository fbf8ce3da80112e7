package edge

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/starling-chat/starling/edge/transport"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// A generation is a base that many sessions share: s = index - base, so one encoding serves them all.
type generation struct {
	base int64
}

// generationSpan is below what s of a session that never moved stays; those that moved are above, and below twice that (resume.md, rule 6). New
// sessions get a new generation when half of it is used up.
const generationSpan = 1 << 30

// half is where the numbers end that the session may have.
func (s *session) half() int64 {
	if s.record != nil {
		return 2 * generationSpan
	}
	return generationSpan
}

// An event is one dispatch, shared by all sessions that get it. Its index is given when the first of them does.
type event struct {
	index    int64
	kind     string
	body     []byte // JSON of d
	bare     []byte // the same for sessions without MESSAGE_CONTENT; nil: body serves all
	author   proto.ID
	mentions []uint64
	fleeting bool               // not kept for RESUME
	others   []*event           // the same under other indices
	places   []*pb.JournalPlace // what it shows to the one session that gets it
	asOf     []*pb.JournalEvent // the last events of buckets that it reflects

	encoded []encoded // for as long as several sessions may want the same bytes
}

type encoded struct {
	gen      *generation
	compress transport.Compression
	bare     bool
	frame    []byte
}

// newEvent wraps an event of the log.
func newEvent(e *pb.Event) *event {
	ev := &event{kind: e.Type, body: e.Body, author: proto.ID(e.Author), mentions: e.Mentions}
	if len(e.BodyNoContent) > 0 {
		ev.bare = e.BodyNoContent
	}
	return ev
}

// ownEvent is one that the edge itself says.
func ownEvent(kind string, d any) *event {
	body, err := json.Marshal(d)
	if err != nil {
		panic(err) // types of package proto
	}
	return &event{kind: kind, body: body}
}

// size is what the event costs in a ring.
func (e *event) size() int { return len(e.body) + len(e.bare) + 64 }

// bareFor tells whether s gets the form without content: it lacks the intent, did not write the message and is not mentioned in it.
func (e *event) bareFor(s *session) bool {
	return e.bare != nil && s.intents&proto.IntentMessageContent == 0 && s.user != e.author && !slices.Contains(e.mentions, uint64(s.user))
}

// frame returns the bytes of e for s on its present connection, encoding them if nobody wanted the same before.
func (l *loop) frame(e *event, s *session) []byte {
	bare, compress := e.bareFor(s), s.client.compress
	for i := range e.encoded {
		if x := &e.encoded[i]; x.gen == s.gen && x.compress == compress && x.bare == bare {
			return x.frame
		}
	}
	body := e.body
	if bare {
		body = e.bare
	}
	l.payload = appendDispatch(l.payload[:0], e.kind, e.index-s.gen.base, body)
	f := l.encoder.frame(compress, l.payload, false)
	if len(e.encoded) == 0 {
		l.cached = append(l.cached, e)
	}
	e.encoded = append(e.encoded, encoded{s.gen, compress, bare, f})
	encodes.Inc()
	return f
}

// appendDispatch builds the payload around the shared body. kind is one of our own names: it needs no escaping.
func appendDispatch(dst []byte, kind string, s int64, body []byte) []byte {
	dst = append(append(dst, `{"t":"`...), kind...)
	dst = strconv.AppendInt(append(dst, `","s":`...), s, 10)
	dst = append(append(dst, `,"op":0,"d":`...), body...)
	return append(dst, '}')
}

// dropEncodings forgets the shared bytes of events that everybody has been given; a replay makes them anew.
func (l *loop) dropEncodings() {
	for _, e := range l.cached {
		e.encoded = nil
	}
	clear(l.cached)
	l.cached = l.cached[:0]
}
