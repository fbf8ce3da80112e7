package edge

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/starling-chat/starling/edge/transport"
	"github.com/starling-chat/starling/proto"
)

// At most maxFrames frames of a client per frameWindow, else close 4008. Libraries throttle themselves below it.
const (
	maxFrames   = 120
	frameWindow = time.Minute
)

// A phase says what a client may ask next.
type phase uint8

const (
	fresh       phase = iota // neither IDENTIFY nor RESUME, or the answer was op 9
	identifying              // a core is being asked
	live                     // has a session
)

// A client is one connection, seen from above the transport.
type client struct {
	// Fixed at construction.
	loop     *loop
	conn     transport.Conn
	compress transport.Compression
	version  int
	remote   string // address, host only
	opened   time.Time

	// Any goroutine.
	lastBeat atomic.Int64 // Unix nanoseconds

	// Owned by the drain.
	sentAway bool // it was told to go

	// Owned by the connection's reader: OnFrame.
	window time.Time
	frames int
	asked  bool // for a session: IDENTIFY or RESUME was sent

	// Owned by the loop.
	phase   phase
	gone    bool // OnClose was called
	session *session
	pending *pending
	parked  *parked // not nil: READY waits
}

// accept says HELLO at once: clients may wait for it before they read or send anything else.
func (s *Server) accept(conn transport.Conn, r transport.Request) transport.Handler {
	now := time.Now()
	c := &client{loop: s.loop, conn: conn, compress: r.Compress, version: r.Version, remote: r.Remote, opened: now, window: now}
	c.lastBeat.Store(now.UnixNano())
	conn.Queue(s.loop.constants.hello[c.compress])
	if s.loop.draining.Load() {
		conn.Close(proto.CloseRestart)
		return c
	}
	s.loop.post(opened{c})
	return c
}

// OnFrame implements transport.Handler.
func (c *client) OnFrame(_ transport.Conn, frame []byte) {
	if now := time.Now(); now.Sub(c.window) >= frameWindow {
		c.window, c.frames = now, 0
	}
	if c.frames++; c.frames > maxFrames {
		limited.WithLabelValues("frames").Inc()
		c.conn.Close(proto.CloseRateLimited)
		return
	}
	op, d, code := decodeFrame(frame)
	if code != 0 {
		framesIn.WithLabelValues("bad").Inc()
		c.conn.Close(code)
		return
	}
	framesIn.WithLabelValues(opLabel(op)).Inc()
	switch op {
	case proto.OpHeartbeat:
		c.lastBeat.Store(time.Now().UnixNano())
		c.conn.Queue(c.loop.constants.ack[c.compress])
	case proto.OpIdentify, proto.OpResume:
		c.asked = true
		if c.loop.guesses.tooMany(c.remote) {
			limited.WithLabelValues("tokens").Inc()
			c.conn.Close(proto.CloseRateLimited)
			return
		}
		if op == proto.OpIdentify {
			c.onIdentify(d)
		} else {
			c.onResume(d)
		}
	case proto.OpRequestMembers:
		if c.mayAsk() {
			c.onRequestMembers(d)
		}
	case proto.OpPresence:
		c.onPresence(d)
	case proto.OpVoiceState:
		c.mayAsk()
	}
	// Voice and whatever else libraries send is none of an edge's business.
}

// mayAsk closes with 4003 where nobody has asked for a session yet. Presence is let pass: some libraries send it before they identify.
func (c *client) mayAsk() bool {
	if !c.asked {
		c.conn.Close(proto.CloseNotIdentified)
	}
	return c.asked
}

// turnAway closes the connection of who cannot be served for err, and tells who came with a herd when to come again.
func (c *client) turnAway(code proto.CloseCode, err error) {
	var herd *herdError
	if errors.As(err, &herd) {
		c.conn.CloseRetry(code, herd.after)
		return
	}
	c.conn.Close(code)
}

// badToken closes with 4004 and counts it against the address.
func (c *client) badToken() {
	c.loop.guesses.bad(c.remote)
	c.conn.Close(proto.CloseAuthFailed)
}

// OnClose implements transport.Handler.
func (c *client) OnClose(_ transport.Conn, code proto.CloseCode) {
	closes.WithLabelValues(closeLabel(code)).Inc()
	c.loop.post(closed{c})
}

// decodeFrame reads op and d. The code says what is wrong: 4002 not an object in JSON, 4001 op not an integer.
func decodeFrame(frame []byte) (proto.Opcode, json.RawMessage, proto.CloseCode) {
	var f struct {
		Op json.RawMessage `json:"op"`
		D  json.RawMessage `json:"d"`
	}
	if trimmed := bytes.TrimLeft(frame, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return 0, nil, proto.CloseDecode
	}
	if err := json.Unmarshal(frame, &f); err != nil {
		return 0, nil, proto.CloseDecode
	}
	op, err := strconv.ParseInt(string(f.Op), 10, 32)
	if err != nil {
		return 0, nil, proto.CloseUnknownOpcode
	}
	return proto.Opcode(op), f.D, 0
}

// opLabel keeps the label's values few, whatever clients send.
func opLabel(op proto.Opcode) string {
	if op < 0 || op > 43 {
		return "other"
	}
	return strconv.Itoa(int(op))
}

func closeLabel(code proto.CloseCode) string {
	if code < 1000 || code > 1014 && (code < 4000 || code > 4014) {
		return "other"
	}
	return strconv.Itoa(int(code))
}

// opened registers a connection.
type opened struct{ c *client }

func (m opened) apply(l *loop) {
	if !m.c.gone {
		l.clients[m.c] = struct{}{}
		l.open.Add(1)
	}
}

// closed ends a connection. The session waits for RESUME whatever the code: discordgo closes with 1000 when it misses a heartbeat's answer, and
// then resumes.
type closed struct{ c *client }

func (m closed) apply(l *loop) {
	c := m.c
	c.gone = true
	if _, ok := l.clients[c]; ok {
		delete(l.clients, c)
		l.open.Add(-1)
	}
	if c.session != nil {
		l.detach(c.session)
	}
}

// invalidate answers op 9: the client may IDENTIFY on the same socket.
func (l *loop) invalidate(c *client) {
	c.phase, c.session, c.parked = fresh, nil, nil
	c.opened = l.now()
	l.out = append(l.out, outgoing{client: c, frame: l.constants.invalid[c.compress]})
}
