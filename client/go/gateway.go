package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/starling-chat/starling/proto"
)

// DefaultIntents is what a person's client wants to hear of.
const DefaultIntents = proto.IntentGuilds | proto.IntentGuildMembers | proto.IntentGuildInvites | proto.IntentGuildMessages |
	proto.IntentGuildTyping | proto.IntentDirectMessages | proto.IntentMessageContent

// A Gateway keeps one connection to the gateway alive: it heartbeats, resumes, and comes back after every failure that may pass.
type Gateway struct {
	// Fixed at construction. Both handlers are called by the goroutine of Run, one at a time and in order; they may block.
	client     *Client
	intents    int64
	onDispatch func(Dispatch)
	onStatus   func(Status)
	now        chan struct{} // Reconnect

	// Owned by Run.
	session   session
	failures  int  // tries in a row that did not get Online
	unwelcome bool // the last token was refused by the gateway
}

// session is what a RESUME needs; the zero value means IDENTIFY.
type session struct {
	id  string
	url string
	seq int64
}

// NewGateway makes a connection keeper; it starts nothing.
func (c *Client) NewGateway(intents int64, onDispatch func(Dispatch), onStatus func(Status)) *Gateway {
	return &Gateway{client: c, intents: intents, onDispatch: onDispatch, onStatus: onStatus, now: make(chan struct{}, 1)}
}

// Reconnect ends the wait for the next try, if there is one. Any goroutine may call it.
func (g *Gateway) Reconnect() {
	select {
	case g.now <- struct{}{}:
	default:
	}
}

// Run keeps the connection until ctx ends, then closes it and returns nil; or until the server says something that no retry changes:
// ErrLoggedOut, or a *proto.Error or close code in words.
func (g *Gateway) Run(ctx context.Context) error {
	for {
		g.onStatus(Status{Phase: Connecting})
		err := g.connect(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, ErrLoggedOut):
			return err
		}
		wait, fatal := g.judge(err)
		if fatal {
			return fmt.Errorf("gateway: %w", err)
		}
		if !g.pause(ctx, wait, err) {
			return nil
		}
	}
}

// judge says after what wait to try again, and what is left of the session.
func (g *Gateway) judge(err error) (wait time.Duration, fatal bool) {
	var end *closed
	if errors.As(err, &end) {
		switch end.code {
		case proto.CloseNormal, proto.CloseNotIdentified, proto.CloseIdentifiedTwice, proto.CloseInvalidSeq, proto.CloseRateLimited:
			g.session = session{}
		case proto.CloseInvalidShard, 4011, proto.CloseInvalidVersion, proto.CloseInvalidIntents, 4014:
			return 0, true
		}
	}
	if errors.Is(err, errMove) {
		return jitter(500 * time.Millisecond), false
	}
	g.failures++
	if g.failures > 2 {
		g.session.url = "" // that edge seems gone for good: any other can say whether the session lives
	}
	wait = pause(g.failures)
	if end != nil {
		if after := proto.RetryAfter(end.reason); after > 0 {
			wait = max(wait, after+rand.N(after/2+1)) // those who hear the same do not come as one
		}
	}
	var limit *RateLimit
	if errors.As(err, &limit) {
		wait = max(wait, limit.After)
	}
	return wait, false
}

func (g *Gateway) pause(ctx context.Context, wait time.Duration, why error) bool {
	select {
	case <-g.now: // of an earlier wait
	default:
	}
	g.onStatus(Status{Phase: Waiting, Why: Words(why), Until: time.Now().Add(wait), Try: g.failures + 1})
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-g.now:
	case <-ctx.Done():
		return false
	}
	return true
}

// connect makes one connection and serves it to its end; the error says why it ended and is never nil.
func (g *Gateway) connect(ctx context.Context) error {
	c := g.client
	token, err := c.tokens.current(ctx)
	if err != nil {
		return err
	}
	if g.unwelcome {
		if err := c.tokens.renew(ctx, token); err != nil {
			return err
		}
		if token, err = c.tokens.current(ctx); err != nil {
			return err
		}
	}
	address := g.session.url
	if address == "" {
		if address, err = g.address(ctx); err != nil {
			return err
		}
	}
	s, err := dialSocket(ctx, address, c.tls)
	if err != nil {
		return err
	}
	l := &line{gateway: g, socket: s, token: token}
	err = l.serve(ctx)
	var end *closed
	if errors.As(err, &end) && end.code == proto.CloseAuthFailed {
		if g.unwelcome {
			return ErrLoggedOut // a fresh token was refused as well
		}
		g.unwelcome = true
	}
	return err
}

func (g *Gateway) address(ctx context.Context) (string, error) {
	ctx, stop := context.WithTimeout(ctx, dialTimeout)
	defer stop()
	var a struct {
		URL string `json:"url"`
	}
	err := g.client.once(ctx, http.MethodGet, "/api/v10/gateway", "", nil, &a)
	return a.URL, err
}
