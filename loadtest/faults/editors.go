package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/starling-chat/starling/loadtest/check"
	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

const (
	editorsEach = 3                      // of a channel, at once
	editorPause = 150 * time.Millisecond // between two acts of one, at most
	editorEyes  = 6                      // newest messages that they work on: so few that they meet
)

// Editors send, edit and remove messages of a few channels, several at once, each call made once, and note what they were told.
type editors struct {
	run    *check.Run
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	acts     []act
	messages map[proto.ID][]act // by channel: sends that were answered
	err      error
}

// startEditors works in a channel of its own in each guild of these buckets.
func startEditors(ctx context.Context, run *check.Run, edges []string, seed uint64, buckets []int) (*editors, error) {
	e := &editors{run: run, messages: map[proto.ID][]act{}}
	e.ctx, e.cancel = context.WithCancel(context.WithoutCancel(ctx))
	for _, guild := range run.Guilds() {
		for i, b := range buckets {
			if guild.Bucket() != b {
				continue
			}
			ch, err := run.Owner().Channel(ctx, guild, "desk")
			if err != nil {
				e.stop()
				return nil, err
			}
			for k := range editorsEach {
				n := i*editorsEach + k
				who, rng := run.Owner().At(edges[n%len(edges)]), rand.New(rand.NewPCG(seed, uint64(n)))
				e.wg.Go(func() { e.work(who, rng, n, ch.ID) })
			}
		}
	}
	return e, nil
}

func (e *editors) work(who *client.REST, rng *rand.Rand, n int, channel proto.ID) {
	for i := 0; wait(e.ctx, time.Duration(rng.Int64N(int64(editorPause)))) == nil; i++ {
		a := act{deed: send, content: fmt.Sprintf("by %d, %d", n, i), client: n}
		e.mu.Lock()
		known := e.messages[channel]
		e.mu.Unlock()
		if len(known) > 0 {
			a.deed = []deed{send, send, edit, edit, touch, remove}[rng.IntN(6)]
			if a.deed != send {
				a.id = known[len(known)-1-rng.IntN(min(len(known), editorEyes))].id
			}
		}
		if err := e.do(who, channel, &a); err != nil {
			e.fail(err)
			return
		}
		e.mu.Lock()
		e.acts = append(e.acts, a)
		if a.deed == send && !a.unknown {
			e.messages[channel] = append(slices.Clip(e.messages[channel]), a) // others read the one before
		}
		e.mu.Unlock()
	}
}

func (e *editors) fail(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err == nil {
		e.err = err
	}
}

// do makes the call, once, and notes the answer.
func (e *editors) do(who *client.REST, channel proto.ID, a *act) error {
	path := "/channels/" + channel.String() + "/messages"
	var method string
	var body any
	switch a.deed {
	case send:
		method, body = "POST", map[string]any{"content": a.content}
	case edit:
		method, path, body = "PATCH", path+"/"+a.id.String(), map[string]any{"content": a.content}
	case touch:
		method, path, body = "PATCH", path+"/"+a.id.String(), map[string]any{"flags": 4}
	case remove:
		method, path = "DELETE", path+"/"+a.id.String()
	}
	a.bucket = channel.Bucket()
	a.call = time.Now()
	answer, err := who.Raw(context.Background(), method, path, body)
	a.answer = time.Now()
	switch {
	case err != nil || answer.Status >= 500:
		a.unknown = true
		return nil
	case answer.Status == 404:
		a.absent = true
		return nil
	case answer.Status >= 300:
		return fmt.Errorf("%s: %d %.200s", a.deed, answer.Status, answer.Body)
	case a.deed == remove:
		return nil
	}
	var m proto.Message
	if err := json.Unmarshal(answer.Body, &m); err != nil {
		return fmt.Errorf("%s: %.200s: %w", a.deed, answer.Body, err)
	}
	a.id, a.got = m.ID, m.Content
	return nil
}

// stop waits for what is under way.
func (e *editors) stop() {
	e.cancel()
	e.wg.Wait()
}

// check reads what is left and looks for an order of all.
func (e *editors) check(ctx context.Context) error {
	if e.err != nil {
		return e.err
	}
	for channel, sent := range e.messages {
		begun := time.Now()
		left := map[proto.ID]proto.Message{}
		if err := e.history(ctx, channel, left); err != nil {
			return err
		}
		for _, s := range sent {
			m, there := left[s.id]
			e.acts = append(e.acts, act{deed: read, bucket: s.bucket, id: s.id, client: s.client, call: begun, answer: time.Now(), absent: !there, got: m.Content})
			delete(left, s.id)
		}
		e.strangers(left)
	}
	return errors.Join(e.err, linearizable(e.acts))
}

// strangers are messages whose sends were not answered. Each was asked for once, and so is there once.
func (e *editors) strangers(left map[proto.ID]proto.Message) {
	asked := map[string]bool{}
	for _, a := range e.acts {
		if a.unknown && a.deed == send {
			asked[a.content] = true
		}
	}
	for id, m := range left {
		if !asked[m.Content] {
			e.fail(fmt.Errorf("message %s, %q, is there, and nobody sent it, or it is there twice", id, m.Content))
		}
		delete(asked, m.Content)
	}
}

// history pages through a channel.
func (e *editors) history(ctx context.Context, channel proto.ID, into map[proto.ID]proto.Message) error {
	for query := "limit=100"; ; {
		var page []proto.Message
		err := until(ctx, healLimit, "history of "+channel.String(), func(ctx context.Context) (_ bool, err error) {
			page, err = e.run.Owner().History(ctx, channel, query)
			return err == nil, err
		})
		if err != nil {
			return err
		}
		for _, m := range page {
			into[m.ID] = m
		}
		if len(page) < 100 {
			return nil
		}
		query = "limit=100&before=" + page[len(page)-1].ID.String()
	}
}
