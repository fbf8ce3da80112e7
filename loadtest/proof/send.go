package main

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/starling-chat/starling/proto/pb"
)

// What is asked of one core on two cores of a machine, hub and senders included.
const (
	spreadBound = 4000 // acknowledged messages per second over all channels
	hotBound    = 2000 // in one channel
	calm        = 200  // messages per second of a load that a core hardly notices
)

// proveSend has one core take messages, on each kind of stores.
func proveSend(ctx context.Context, r *report, s sizes) error {
	if s.on("embedded") {
		if err := sendTo(ctx, r, s, "embedded", spreadBound, hotBound); err != nil {
			return err
		}
	}
	if !s.on("real") {
		return nil
	}
	r.note("starting Postgres and Cassandra")
	real, err := startServers(ctx, "postgres", "cassandra")
	if err != nil {
		return err
	}
	defer real.stop()
	return sendTo(ctx, r, s, "Postgres and Cassandra", 0, 0, "--postgres", real.postgres, "--cql", real.cql)
}

// sendTo runs a mesh, each role a process, and has it take messages: calm, then as many as it can.
func sendTo(ctx context.Context, r *report, s sizes, stores string, spread, hot float64, args ...string) error {
	b, err := startBench(ctx, r, s, args...)
	if err != nil {
		return err
	}
	defer b.close()
	m, w := b.m, b.w
	r.note("%s: calls of senders go to the core over NATS, as edges send them", stores)
	calmly, err := b.run(ctx, load{make: w.spread, flight: s.flight, rate: calm, warm: time.Second, lasting: s.lasting / 2})
	if err != nil {
		return err
	}
	where := fmt.Sprintf("%s, %d channels in %d guilds", stores, len(w.channels), s.guilds)
	r.atLeast(where+": acknowledged, calm", 0, calmly.rate(), calmly.told())
	logBefore := size(filepath.Join(m.DataDir(), "hub"))
	full, err := b.run(ctx, load{make: w.spread, flight: s.flight, warm: 2 * time.Second, lasting: s.lasting})
	if err != nil {
		return err
	}
	r.atLeast(fmt.Sprintf("%s: acknowledged, %d under way", where, s.flight), spread, full.rate(), full.told())
	logged := size(filepath.Join(m.DataDir(), "hub")) - logBefore
	r.line(fmt.Sprintf("%s: bytes in the log of a message of %d characters, at %.1f in an entry", stores, len(text), full.group), "told",
		fmt.Sprint(logged/int64(max(full.sent, 1))), true)
	one, err := b.run(ctx, load{make: w.hot, flight: s.flight / 2, warm: 2 * time.Second, lasting: s.lasting})
	if err != nil {
		return err
	}
	r.atLeast(fmt.Sprintf("%s, one hot channel: acknowledged, %d under way", stores, s.flight/2), hot, one.rate(), one.told())
	r.line(stores+": messages in a group grow with the load", "calm < spread < hot",
		fmt.Sprintf("%.1f, %.1f, %.1f", calmly.group, full.group, one.group), calmly.group < full.group && full.group < one.group)
	r.zero(stores+": calls that failed", calmly.failed+full.failed+one.failed)
	for _, t := range []measured{calmly, full, one} {
		for _, e := range t.errors {
			r.note("failed: %s", e)
		}
	}
	over, err := w.overHTTP(ctx, s.flight/8, s.lasting/2)
	if err != nil {
		return err
	}
	r.atLeast(fmt.Sprintf("%s: acknowledged over HTTP through two edges, %d connections", where, s.flight/8), 0, over.rate(), percentiles(over))
	return nil
}

// size of all files in a folder, 0 where there is none.
func size(dir string) (sum int64) {
	filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil { // else it went away meanwhile
				sum += info.Size()
			}
		}
		return nil
	})
	return sum
}

func percentiles(t taken) string {
	return fmt.Sprintf(" (p50 %v, p99 %v)", t.at(.5).Round(100*time.Microsecond), t.at(.99).Round(100*time.Microsecond))
}

// call is an edge's form of a message.
func (s sender) call(content string) *pb.RestCall {
	return &pb.RestCall{Method: "POST", Target: s.target, Remote: "127.0.0.1", Edge: "proof", GatewayUrl: "ws://127.0.0.1/gateway",
		Headers: []*pb.Header{{Name: "Host", Value: "127.0.0.1"}, {Name: "Authorization", Value: s.auth}, {Name: "Content-Type", Value: "application/json"},
			{Name: "User-Agent", Value: "DiscordBot (https://example.invalid, 1)"}, {Name: "Accept-Encoding", Value: "gzip"}},
		Body: []byte(`{"content":"` + content + `"}`)}
}
