package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/starling-chat/starling/proto"
)

// errMove tells that the server asked us to come back elsewhere (op 7).
var errMove = errors.New("the server asked to reconnect")

const (
	helloTimeout = 15 * time.Second // HELLO is sent at once
	readyTimeout = 25 * time.Second // from IDENTIFY or RESUME to its answer
)

// A line is one connection of a Gateway, from HELLO to its end.
type line struct {
	gateway *Gateway
	socket  *socket
	token   string

	// Owned by serve.
	interval time.Duration // of heartbeats; 0 before HELLO
	ready    bool
	by       time.Time // when READY has to be there

	// Any goroutine.
	seq   atomic.Int64
	acked atomic.Bool // since the last heartbeat
	dead  atomic.Bool // two heartbeats without an answer
	wg    sync.WaitGroup
}

func (l *line) serve(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	left := make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		defer close(left)
		l.socket.close(proto.CloseNormal)
	})
	l.by = time.Now().Add(helloTimeout)
	l.seq.Store(l.gateway.session.seq)
	err := l.read(ctx)
	hooked := unhook()
	if hooked && (errors.Is(err, errMove) || l.dead.Load()) {
		l.socket.close(proto.CloseUnknown) // not 1000: the session is to be resumed
	}
	stop()
	if !hooked {
		<-left // bounded by the time-out of writes
	}
	l.socket.conn.Close()
	l.wg.Wait()
	if l.dead.Load() {
		return errors.New("the server stopped answering")
	}
	return err
}

func (l *line) read(ctx context.Context) error {
	for {
		by := l.by
		if l.ready {
			by = time.Now().Add(3*l.interval + 5*time.Second)
		}
		p, err := l.socket.next(by)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return errors.New("the server did not answer in time")
		}
		if err != nil {
			return err
		}
		var f proto.Frame
		if err := json.Unmarshal(p, &f); err != nil {
			return fmt.Errorf("gateway frame: %w", err)
		}
		if err := l.frame(ctx, f); err != nil {
			return err
		}
	}
}

func (l *line) frame(ctx context.Context, f proto.Frame) error {
	switch f.Op {
	case proto.OpHello:
		return l.hello(ctx, f.D)
	case proto.OpHeartbeat:
		return l.heartbeat()
	case proto.OpHeartbeatAck:
		l.acked.Store(true)
	case proto.OpReconnect:
		return errMove
	case proto.OpInvalidSession:
		return l.invalid(ctx, f.D)
	case proto.OpDispatch:
		if f.T == nil || f.S == nil {
			return errors.New("gateway frame: op 0 without s or t")
		}
		return l.dispatch(*f.T, *f.S, f.D)
	}
	return nil
}

func (l *line) hello(ctx context.Context, d []byte) error {
	var h proto.Hello
	if err := json.Unmarshal(d, &h); err != nil {
		return fmt.Errorf("HELLO: %w", err)
	}
	if h.HeartbeatInterval < 100 || h.HeartbeatInterval > 10*60*1000 {
		return fmt.Errorf("HELLO: heartbeat interval of %d ms", h.HeartbeatInterval)
	}
	if l.interval != 0 {
		return errors.New("HELLO came twice")
	}
	l.interval = time.Duration(h.HeartbeatInterval) * time.Millisecond
	l.acked.Store(true)
	l.wg.Go(func() { l.beat(ctx) })
	return l.enter()
}

// enter sends RESUME where there is a session, else IDENTIFY.
func (l *line) enter() error {
	l.by = time.Now().Add(readyTimeout)
	if s := l.gateway.session; s.id != "" {
		return l.send(proto.OpResume, proto.Resume{Token: l.token, SessionID: s.id, Seq: s.seq})
	}
	return l.send(proto.OpIdentify, map[string]any{"token": l.token, "intents": l.gateway.intents, "large_threshold": 250,
		"properties": map[string]string{"os": runtime.GOOS, "browser": "starling", "device": "starling"}})
}

// beat sends the first heartbeat after a random part of the interval, so that clients that came together do not beat together.
func (l *line) beat(ctx context.Context) {
	wait := rand.N(l.interval)
	for sleep(ctx, wait) {
		if !l.acked.Swap(false) {
			l.dead.Store(true)
			l.socket.conn.SetReadDeadline(time.Now()) // wakes read
			l.socket.conn.Close()
			return
		}
		if l.heartbeat() != nil {
			return // reading tells why
		}
		wait = l.interval
	}
}

func (l *line) heartbeat() error {
	if s := l.seq.Load(); s > 0 {
		return l.send(proto.OpHeartbeat, s)
	}
	return l.send(proto.OpHeartbeat, nil)
}

// invalid answers op 9: the session is gone, or (true) may be asked for again. Either is done on this same connection after 1 to 5 s.
func (l *line) invalid(ctx context.Context, d []byte) error {
	again := false
	if err := json.Unmarshal(d, &again); err != nil {
		return fmt.Errorf("op 9: %w", err)
	}
	if !again {
		l.gateway.session = session{}
		l.seq.Store(0)
	}
	l.by = time.Now().Add(readyTimeout)
	if !sleep(ctx, time.Second+rand.N(time.Second)) {
		return ctx.Err()
	}
	return l.enter()
}

func (l *line) dispatch(event string, s int64, d []byte) error {
	g := l.gateway
	l.seq.Store(s)
	g.session.seq = s
	switch event {
	case proto.EventReady:
		var r proto.Ready
		if err := json.Unmarshal(d, &r); err != nil {
			return fmt.Errorf("READY: %w", err)
		}
		g.session.id, g.session.url = r.SessionID, r.ResumeGatewayURL
		l.online(false)
	case proto.EventResumed:
		l.online(true)
		return nil
	}
	g.onDispatch(Dispatch{Type: event, Data: d})
	return nil
}

func (l *line) online(resumed bool) {
	l.ready = true
	l.gateway.failures, l.gateway.unwelcome = 0, false
	l.gateway.onStatus(Status{Phase: Online, Resumed: resumed})
}

func (l *line) send(op proto.Opcode, d any) error {
	b, err := json.Marshal(map[string]any{"op": op, "d": d})
	if err != nil {
		return err
	}
	return l.socket.send(b)
}
