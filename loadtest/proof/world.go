package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/loadtest/mesh"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

const channelsEach = 10 // in a guild of the spread load

// text is of the length that messages have on average.
var text = strings.Repeat("a word or two, ", 8)

// A world is the guilds that messages are sent to, each by a bot of its own.
type world struct {
	m        *mesh.Mesh
	channels []sender
}

// A sender is a bot in one channel.
type sender struct {
	channel      proto.ID
	target, auth string
}

// settle makes a world over the public API.
func settle(ctx context.Context, r *report, m *mesh.Mesh, guilds int) (*world, error) {
	r.note("making %d guilds of %d channels", guilds, channelsEach)
	anon := client.NewREST(m.HTTP(0), nil)
	p, err := anon.Register(ctx, "proof", "a password of the proof")
	if err != nil {
		return nil, err
	}
	owner := anon.As("Bearer " + p.Token)
	w := &world{m: m, channels: make([]sender, guilds*channelsEach)}
	return w, each(guilds, 8, func(i int) error {
		as := owner.At(m.HTTP(i % mesh.Edges))
		g, err := as.Guild(ctx, fmt.Sprintf("Proof %d", i))
		if err != nil {
			return err
		}
		bot, err := as.Application(ctx, fmt.Sprintf("proof%03d", i))
		if err != nil {
			return err
		}
		if err := as.AddBot(ctx, g.ID, bot.ID); err != nil {
			return err
		}
		for n := range channelsEach {
			ch, err := as.Channel(ctx, g.ID, fmt.Sprintf("load-%d", n))
			if err != nil {
				return err
			}
			w.channels[n*guilds+i] = sender{ch.ID, fmt.Sprintf("/api/v10/channels/%s/messages", ch.ID), bot.Auth()}
		}
		return nil
	})
}

// spread takes one channel after the other.
func (w *world) spread(n int) *pb.RestCall { return w.channels[n%len(w.channels)].call(text) }

// hot takes always the same.
func (w *world) hot(int) *pb.RestCall { return w.channels[0].call(text) }

// overHTTP has as many connections send one message after the other, as clients do.
func (w *world) overHTTP(ctx context.Context, connections int, lasting time.Duration) (taken, error) {
	calls := &http.Client{Timeout: pumpWait, Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	defer calls.CloseIdleConnections()
	ctx, stop := context.WithTimeout(ctx, time.Second+lasting+pumpWait)
	defer stop()
	var next atomic.Int64
	delays, errs := make([][]time.Duration, connections), make([]error, connections)
	begin := time.Now().Add(time.Second)
	end := begin.Add(lasting)
	var senders sync.WaitGroup
	for i := range connections {
		senders.Go(func() {
			for errs[i] == nil && time.Now().Before(end) {
				n := int(next.Add(1))
				from := time.Now()
				errs[i] = w.channels[n%len(w.channels)].post(ctx, calls, w.m.HTTP(n%mesh.Edges))
				if took := time.Since(from); from.After(begin) {
					delays[i] = append(delays[i], took)
				}
			}
		})
	}
	senders.Wait()
	t := taken{delays: slices.Concat(delays...), wall: lasting}
	slices.Sort(t.delays)
	return t, errors.Join(errs...)
}

// post sends a message to an edge.
func (s sender) post(ctx context.Context, c *http.Client, edge string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, edge+s.target, strings.NewReader(`{"content":"`+text+`"}`))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", s.auth)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "DiscordBot (https://example.invalid, 1)")
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.200s", resp.Status, b)
	}
	return err
}
