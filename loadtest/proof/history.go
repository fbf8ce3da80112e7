package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"time"

	"github.com/starling-chat/starling/loadtest/mesh"
	"github.com/starling-chat/starling/loadtest/proof/inside"
	"github.com/starling-chat/starling/proto"
)

const (
	pageBound  = 15 * time.Millisecond // p99 of a page of history
	pageLength = 50
	day        = proto.ID(24*time.Hour/time.Millisecond) << 22 // in ids
	windows    = 200                                           // of ten days, that messages lie in
)

// A shape is how messages lie in a channel.
type shape struct {
	name   string
	ids    []proto.ID // oldest first
	before func(ids []proto.ID) proto.ID
}

// shapes of channels; deep is how many messages the fullest has.
func shapes(deep int) []shape {
	now := proto.ID(time.Now().UnixMilli()-proto.Epoch) << 22
	since := func(days proto.ID, n int) []proto.ID {
		ids := make([]proto.ID, n)
		for i := range ids {
			ids[i] = now - days*day + days*day/proto.ID(n)*proto.ID(i)
		}
		return ids
	}
	silent := append(since(730, pageLength*20)[:pageLength*2], now-day/24)
	for i := range pageLength * 2 { // a day of two years ago
		silent[i] = now - 730*day + proto.ID(i)*day/(pageLength*4)
	}
	anywhere := func(ids []proto.ID) proto.ID { return ids[pageLength+rand.IntN(len(ids)-pageLength)] }
	return []shape{
		{fmt.Sprintf("%d messages in 20 days, newest page", deep), since(20, deep), func([]proto.ID) proto.ID { return 0 }},
		{fmt.Sprintf("%d messages in 20 days, the last thousand of them", deep), nil,
			func(ids []proto.ID) proto.ID { return ids[pageLength+rand.IntN(min(1000, len(ids)-pageLength))] }},
		{fmt.Sprintf("%d messages in 20 days, anywhere", deep), nil, anywhere},
		{fmt.Sprintf("%d windows of 100 messages, anywhere", windows), since(windows*10, windows*100), anywhere},
		{fmt.Sprintf("%d windows of 1 message, anywhere", windows), since(windows*10, windows), anywhere},
		{"silent for two years, newest page", silent, func([]proto.ID) proto.ID { return 0 }},
	}
}

// proveHistory measures pages on each kind of stores: of the store alone, and as a client gets them.
func proveHistory(ctx context.Context, r *report, s sizes) error {
	if s.on("embedded") {
		if err := historyOn(ctx, r, s, "Pebble", inside.OpenPebble); err != nil {
			return err
		}
	}
	if !s.on("real") {
		return nil
	}
	r.note("starting Cassandra")
	real, err := startServers(ctx, "cassandra")
	if err != nil {
		return err
	}
	defer real.stop()
	pid, err := real.pid("cassandra")
	if err != nil {
		return err
	}
	s.jit, s.server = pid, "Cassandra"
	return historyOn(ctx, r, s, "Cassandra", func(string) (inside.History, error) { return inside.OpenCQL(ctx, real.cql) }, "--cql", real.cql)
}

// historyOn has a mesh make the channels, fills them while it does not run, and reads.
func historyOn(ctx context.Context, r *report, s sizes, store string, open func(dir string) (inside.History, error), args ...string) error {
	bin, err := mesh.Build(mesh.Race)
	if err != nil {
		return err
	}
	m, err := mesh.New(mesh.Options{Bin: bin, Args: args})
	if err != nil {
		return err
	}
	defer m.Close()
	if err := m.Start(ctx); err != nil {
		return err
	}
	w, err := settle(ctx, r, m, 1)
	if err != nil {
		return err
	}
	if err := m.Drain(ctx); err != nil {
		return err
	}
	h, err := open(filepath.Join(m.DataDir(), "core"))
	if err != nil {
		return err
	}
	all := shapes(s.messages)
	homes := make([]sender, len(all)) // where each shape's messages are
	for i, at := 0, -1; i < len(all); i++ {
		if all[i].ids == nil { // reads those of the shape before
			all[i].ids = all[i-1].ids
		} else {
			at++
		}
		homes[i] = w.channels[at]
	}
	err = fillAndRead(ctx, r, s, store, filepath.Join(m.DataDir(), "core", "history"), h, all, homes)
	if e := h.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	if err := m.Start(ctx); err != nil {
		return err
	}
	return readOverHTTP(ctx, r, s, store, m, all, homes)
}

func fillAndRead(ctx context.Context, r *report, s sizes, store, dir string, h inside.History, all []shape, homes []sender) error {
	for i, sh := range all {
		if i > 0 && homes[i] == homes[i-1] {
			continue
		}
		r.note("%s: writing %d messages", store, len(sh.ids))
		if err := inside.Fill(ctx, h, homes[i].channel, sh.ids, func(n int) { r.note("%d written", n) }); err != nil {
			return err
		}
	}
	if store == "Pebble" {
		total := 0
		for i, sh := range all {
			if i == 0 || homes[i] != homes[i-1] {
				total += len(sh.ids)
			}
		}
		r.line("Pebble: bytes on disk of a message of "+fmt.Sprint(inside.ContentLength)+" characters", "told", fmt.Sprint(size(dir)/int64(total)), true)
	}
	return readAll(ctx, r, s, store+" alone", all, func(i int, pages []proto.ID) ([]time.Duration, error) {
		return inside.Pages(ctx, h, homes[i].channel, pages, pageLength)
	})
}

// readAll reads pages of each shape, first as many as a server needs to be warm.
func readAll(ctx context.Context, r *report, s sizes, where string, all []shape, read func(i int, pages []proto.ID) ([]time.Duration, error)) error {
	warmed, err := warm(ctx, s.jit, s.reads, func(n int) error {
		for i, sh := range all {
			if _, err := read(i, sh.pages(max(n/len(all), 1))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.note("%s: warm after %d pages; load average %s", where, warmed, loadAverage())
	for i, sh := range all {
		if _, err := read(i, sh.pages(s.reads)); err != nil { // this shape's own
			return err
		}
		before, err := s.pageCPU()
		if err != nil {
			return err
		}
		took, err := read(i, sh.pages(s.reads))
		if err != nil {
			return err
		}
		after, err := s.pageCPU()
		if err != nil {
			return err
		}
		more := fmt.Sprintf(" after %d others", warmed+s.reads*(2*i+1))
		if s.jit != 0 {
			each := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 / float64(s.reads) }
			more += fmt.Sprintf("; ms of CPU a page: %s %.2f, reader %.2f", s.server, each(after.mesh-before.mesh), each(after.own-before.own))
		}
		r.p99(fmt.Sprintf("%s, page of %d of %s", where, pageLength, sh.name), pageBound, took, more)
	}
	return nil
}

// pageCPU is what the server that is read from, if there is one, and this program have used.
func (s sizes) pageCPU() (cpu, error) {
	if s.jit == 0 {
		return cpu{}, nil
	}
	return usedCPU(s.jit)
}

// pages are ids before which pages are read, others each time where the shape is read anywhere.
func (sh shape) pages(n int) []proto.ID {
	pages := make([]proto.ID, n)
	for i := range pages {
		pages[i] = sh.before(sh.ids)
	}
	return pages
}

// p99 prints what 99 of 100 calls kept below; more is told behind their number.
func (r *report) p99(claim string, bound time.Duration, took []time.Duration, more string) {
	t := taken{delays: took}
	r.line(claim+", p99", "≤ "+bound.String(), fmt.Sprintf("%v (p50 %v, %d reads%s)", t.at(.99).Round(10*time.Microsecond),
		t.at(.5).Round(10*time.Microsecond), len(took), more), t.at(.99) <= bound)
}

// readOverHTTP reads as clients do, over an edge.
func readOverHTTP(ctx context.Context, r *report, s sizes, store string, m *mesh.Mesh, all []shape, homes []sender) error {
	calls := &http.Client{Timeout: pumpWait, Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
	defer calls.CloseIdleConnections()
	err := readAll(ctx, r, s, "GET over an edge on "+store, all, func(i int, pages []proto.ID) ([]time.Duration, error) {
		took, err := inside.Timed(len(pages), 2, func(n int) error {
			page, err := homes[i].page(ctx, calls, m.HTTP(n%mesh.Edges), pages[n], pageLength)
			if err == nil && len(page) != pageLength {
				err = fmt.Errorf("%s: %d messages before %d", all[i].name, len(page), pages[n])
			}
			return err
		})
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, m.LogTail(20))
		}
		return took, err
	})
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(sh shape) bool { return len(sh.ids) == windows*100 })
	return scroll(ctx, r, store, m, calls, homes[i], all[i].ids)
}

// scroll reads a channel from the newest message to the first, as a client's infinite scroll does.
func scroll(ctx context.Context, r *report, store string, m *mesh.Mesh, calls *http.Client, home sender, ids []proto.ID) error {
	var found []proto.ID
	var took []time.Duration
	for before, more := proto.ID(0), true; more; {
		from := time.Now()
		page, err := home.page(ctx, calls, m.HTTP(0), before, pageLength)
		if err != nil {
			return err
		}
		took = append(took, time.Since(from))
		found = append(found, page...)
		if more = len(page) == pageLength; more {
			before = page[len(page)-1]
		}
	}
	slices.Sort(took)
	slices.Reverse(found)
	r.line(fmt.Sprintf("%s: scrolled over %d windows to the first message, each once, in order", store, windows), fmt.Sprint(len(ids)), fmt.Sprint(len(found)),
		slices.Equal(found, ids))
	r.p99(fmt.Sprintf("GET over an edge on %s, pages of that scroll, each read once", store), pageBound, took, "")
	return nil
}

// page reads ids of a page of history, newest first.
func (s sender) page(ctx context.Context, c *http.Client, edge string, before proto.ID, n int) ([]proto.ID, error) {
	url := fmt.Sprintf("%s%s?limit=%d", edge, s.target, n)
	if before != 0 {
		url += fmt.Sprintf("&before=%d", before)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", s.auth)
	req.Header.Set("User-Agent", "DiscordBot (https://example.invalid, 1)")
	resp, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %.200s", resp.Status, b)
	}
	var page []struct {
		ID proto.ID `json:"id"`
	}
	if err := json.Unmarshal(b, &page); err != nil {
		return nil, err
	}
	ids := make([]proto.ID, len(page))
	for i, m := range page {
		ids[i] = m.ID
	}
	return ids, nil
}
