package storetest

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

// victimPlace, in the environment, makes a Kill test the process that is to be killed.
const victimPlace = "STORETEST_VICTIM"

// KillDirectory kills a process (the test binary again) that applies entries, and demands that all it was told to be applied is there after:
// a Directory outlives its process. Call it from a test of its own, without subtests above it.
func KillDirectory(t *testing.T, open func(t *testing.T, place string) core.Directory) {
	guilds := newJournal(7)
	entry := func() (proto.ID, core.Applied) {
		g := newGuild(guilds, "Birds", proto.NewUser(newJournal(9).id(), "Alice", false))
		return g.ID, guilds.entry(of(g.ID, event(proto.EventInternalGuildBorn, g)))
	}
	if place := os.Getenv(victimPlace); place != "" {
		d := open(t, place)
		suffer(t, func() error { _, a := entry(); return d.Apply(t.Context(), []core.Applied{a}) })
		return
	}
	ctx, place := bounded(t), t.TempDir()
	answered := kill(t, ctx, place)
	d := open(t, place)
	defer func() { ok(t, d.Close()) }()
	c := must[core.Checkpoint](t)(d.Checkpoint(ctx, 7))
	if c.Counter < answered || c.Counter > answered+1 {
		t.Fatalf("checkpoint at %d after %d answers", c.Counter, answered)
	}
	for i := range answered + 2 {
		id, a := entry()
		g, err := d.Guild(ctx, id)
		if i >= c.Counter {
			notFound(t, "guild above the checkpoint", err)
			ok(t, d.Apply(ctx, []core.Applied{a}))
		} else if err != nil || g.MemberCount != 1 || len(g.Channels) != 1 {
			t.Fatalf("guild %d of %d: %+v, %v", i, c.Counter, g, err)
		}
	}
	if owed := must[[]core.Effect](t)(d.Outbox(ctx, 7, 1<<20)); uint64(len(owed)) != answered+2 {
		t.Fatalf("%d effects of %d guilds", len(owed), answered+2)
	}
}

// KillHistory does the same to a History. It may lose a tail, as the log repeats it, if the checkpoint is lost with it.
func KillHistory(t *testing.T, open func(t *testing.T, place string) core.History) {
	s := &shelf{log: newJournal(7), alice: proto.NewUser(newJournal(9).id(), "Alice", false)}
	s.guild, s.lobby = s.log.id(), s.log.id()
	entry := func() (proto.Message, core.Applied) {
		m := s.message(s.lobby, "x")
		return m, s.log.entry(s.create(m))
	}
	if place := os.Getenv(victimPlace); place != "" {
		h := open(t, place)
		suffer(t, func() error { _, a := entry(); return h.Apply(t.Context(), []core.Applied{a}) })
		return
	}
	ctx, place := bounded(t), t.TempDir()
	answered := kill(t, ctx, place)
	h := open(t, place)
	defer func() { ok(t, h.Close()) }()
	c := must[core.Checkpoint](t)(h.Checkpoint(ctx, 7))
	var entries []core.Applied
	var want []proto.Message
	for range max(answered, c.Counter) + 1 {
		m, a := entry()
		entries, want = append(entries, a), append(want, m)
	}
	t.Logf("%d answered, %d kept", answered, c.Counter)
	same(t, "up to the checkpoint", must[[]proto.Message](t)(h.After(ctx, s.lobby, 0, len(want))), want[:c.Counter])
	ok(t, h.Apply(ctx, entries[c.Counter:]))
	same(t, "after the replay", must[[]proto.Message](t)(h.After(ctx, s.lobby, 0, len(want))), want)
}

// suffer is the life of the victim: it says what was answered until it is killed, or for a bounded time.
func suffer(t *testing.T, apply func() error) {
	for n := 1; n <= 20_000; n++ {
		ok(t, apply())
		fmt.Printf("answered %d\n", n)
	}
}

// kill starts a victim at a place, kills it after some answers and tells how many it gave.
func kill(t *testing.T, ctx context.Context, place string) (answered uint64) {
	enough := 1 + seeded(t).Uint64N(500)
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=30s")
	cmd.Env = append(os.Environ(), victimPlace+"="+place)
	out, err := cmd.StdoutPipe()
	ok(t, err)
	ok(t, cmd.Start())
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var n uint64
		if _, err := fmt.Sscanf(lines.Text(), "answered %d", &n); err != nil {
			t.Errorf("victim: %s", lines.Text())
			continue
		}
		if answered = n; n == enough {
			ok(t, cmd.Process.Kill())
		}
	}
	if err := cmd.Wait(); cmd.ProcessState.Success() || err == nil {
		t.Fatal("the victim ended before it was killed")
	}
	if answered < enough {
		t.Fatalf("the victim gave %d answers, want %d", answered, enough)
	}
	return answered
}
