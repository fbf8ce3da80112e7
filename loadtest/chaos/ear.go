package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

const (
	helloLimit  = 5 * time.Second  // for what answers at once when an edge lives
	answerLimit = 30 * time.Second // for READY and RESUMED
	redialMin   = 50 * time.Millisecond
	redialMax   = time.Second
)

// An ear is one client that listens as Discord's libraries do: it connects again at once when its socket ends, RESUMEs with the session_id of
// READY and the last s it read, and identifies anew where it is told so.
type ear struct {
	n        int
	user     proto.ID
	token    string
	dial     func(try int) string // gateway URL to use next
	compress string
	wants    map[string]any // of IDENTIFY beside what is always there
	record   *record
	live     *live
	witness  *witness // nil: it is no witness
	tell     func(string)
	rnd      *rand.Rand

	log *client.Log // s only

	mu      sync.Mutex
	gateway *client.Gateway // of now
	session string
	resume  string // URL that READY gave

	acked atomic.Int64 // Unix nanoseconds of the last op 11
	beat  atomic.Int64 // heartbeat interval
}

// run listens until ctx ends.
func (e *ear) run(ctx context.Context) {
	wait := time.Duration(0) // at once, and if that comes to nothing by and by
	longer := func() { wait = min(max(2*wait, redialMin), redialMax) }
	for try := 0; ctx.Err() == nil; try++ {
		ctl := make(chan client.Event, 16)
		g, err := e.open(ctx, try, ctl)
		if err != nil {
			if !pause(ctx, wait) {
				return
			}
			longer()
			continue
		}
		stop := context.AfterFunc(ctx, g.Cut)
		if e.listen(ctx, g, ctl) {
			wait, try = 0, -1
		} else {
			longer()
		}
		stop()
		g.Cut()
		if ctx.Err() == nil {
			e.record.broken(time.Now())
			e.live.ready(e.n, false)
			if !pause(ctx, wait) {
				return
			}
		}
	}
}

func (e *ear) open(ctx context.Context, try int, ctl chan client.Event) (*client.Gateway, error) {
	ctx, cancel := context.WithTimeout(ctx, helloLimit)
	defer cancel()
	e.mu.Lock()
	url := e.resume
	e.mu.Unlock()
	if url == "" || e.witness != nil {
		url = e.dial(try)
	}
	g, err := client.Dial(ctx, url, client.Options{Log: e.log, Compress: e.compress, Each: func(f client.Event) { e.hear(f, ctl) }})
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	e.gateway = g
	e.mu.Unlock()
	return g, nil
}

// cut breaks the socket as a network does.
func (e *ear) cut() {
	e.mu.Lock()
	g := e.gateway
	e.mu.Unlock()
	if g != nil {
		g.Cut()
	}
}

// hear takes in each frame, on the goroutine that reads; what has to be answered goes to listen.
func (e *ear) hear(f client.Event, ctl chan<- client.Event) {
	switch proto.Opcode(f.Op) {
	case proto.OpDispatch:
		e.dispatch(f)
		if f.T != "READY" && f.T != "RESUMED" {
			return
		}
	case proto.OpHeartbeatAck:
		e.acked.Store(f.At.UnixNano())
		return
	case proto.OpHello, proto.OpReconnect, proto.OpInvalidSession:
	default:
		return
	}
	select {
	case ctl <- f:
	default: // nobody sends so many
		e.tell(fmt.Sprintf("client %d: too many frames to answer", e.n))
	}
}

// listen takes up the session on a new connection and goes on until the connection ends; true if it was live in between.
func (e *ear) listen(ctx context.Context, g *client.Gateway, ctl <-chan client.Event) (was bool) {
	ended := make(chan proto.CloseCode, 1)
	go func() { code, _ := g.Closed(context.WithoutCancel(ctx)); ended <- code }()
	e.beat.Store(0)
	e.acked.Store(time.Now().UnixNano())
	answer := time.NewTimer(helloLimit)
	defer answer.Stop()
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for {
		select {
		case f := <-ctl:
			switch proto.Opcode(f.Op) {
			case proto.OpHello:
				var h proto.Hello
				if f.Into(&h) == nil {
					e.beat.Store(int64(time.Duration(h.HeartbeatInterval) * time.Millisecond))
				}
				answer.Reset(answerLimit)
				if e.start(g) != nil {
					return was
				}
			case proto.OpReconnect:
				return was
			case proto.OpInvalidSession:
				if string(f.D) == "true" {
					return was
				}
				e.lose(f.At)
				if !pause(ctx, time.Second+time.Duration(e.rnd.Int64N(int64(time.Second)))) { // they wait one to five
					return was
				}
				answer.Reset(answerLimit)
				if e.start(g) != nil {
					return was
				}
			default: // READY or RESUMED
				answer.Stop()
				was = true
			}
		case code := <-ended:
			switch code {
			case proto.CloseInvalidSeq, proto.CloseTimeout:
				e.lose(time.Now())
			case proto.CloseAuthFailed, proto.CloseInvalidShard, proto.CloseInvalidVersion, proto.CloseInvalidIntents, proto.CloseDecode,
				proto.CloseUnknownOpcode, proto.CloseIdentifiedTwice:
				e.tell(fmt.Sprintf("client %d: closed with %d", e.n, code))
				pause(ctx, redialMax)
			}
			return was
		case <-answer.C:
			return was
		case now := <-look.C:
			if every := e.beat.Load(); every > 0 && now.UnixNano()-e.acked.Load() > 2*every {
				return was // a zombie, as libraries call it
			}
		}
	}
}

// start sends RESUME or IDENTIFY.
func (e *ear) start(g *client.Gateway) error {
	e.mu.Lock()
	session := e.session
	e.mu.Unlock()
	if session != "" {
		return g.Resume(e.token, session, e.log.S())
	}
	return g.Identify(e.token, e.wants)
}

// lose notes that the session is over.
func (e *ear) lose(at time.Time) {
	e.mu.Lock()
	e.session, e.resume = "", ""
	e.mu.Unlock()
	e.record.lost(at)
}

// dispatch takes in one event.
func (e *ear) dispatch(f client.Event) {
	if e.witness != nil {
		if err := e.witness.see(f); err != nil {
			e.tell(fmt.Sprintf("witness %d: %s: %v", e.n, f.T, err))
		}
	}
	switch f.T {
	case "READY":
		var ready proto.Ready
		if err := f.Into(&ready); err != nil {
			e.tell(fmt.Sprintf("client %d: READY: %v", e.n, err))
			return
		}
		e.mu.Lock()
		e.session, e.resume = ready.SessionID, ready.ResumeGatewayURL
		e.mu.Unlock()
		if err := e.record.identified(f); err != nil {
			e.tell(fmt.Sprintf("client %d: READY: %v", e.n, err))
		}
		e.live.identifies.Add(1)
	case "RESUMED":
		e.record.resumed(f.At)
		e.live.resumes.Add(1)
	case "GUILD_CREATE", "GUILD_DELETE", "CHANNEL_CREATE", "CHANNEL_DELETE":
		if err := e.record.turn(f); err != nil {
			e.tell(fmt.Sprintf("client %d: %s: %v", e.n, f.T, err))
		}
	case "MESSAGE_CREATE":
		var m struct {
			ID      proto.ID `json:"id"`
			Channel proto.ID `json:"channel_id"`
			Content string   `json:"content"`
		}
		if err := f.Into(&m); err != nil {
			e.tell(fmt.Sprintf("client %d: %s: %v", e.n, f.T, err))
			return
		}
		e.record.message(m.ID, m.Channel, m.Content, f.At)
		e.live.delivered.Add(1)
	}
}
