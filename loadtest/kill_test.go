package loadtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/loadtest/mesh"
	"github.com/starling-chat/starling/proto"
)

// The whole mesh is killed -9 at random moments, under load or while it starts, and started again on the same data: no answered message is
// lost, nothing is in history that was never sent, nothing is there twice, edits and deletes stay applied, and what came over the gateway
// is in history. STARLING_ROUNDS and STARLING_SEED change how often and repeat a run's choices.
func TestKillWholeMesh(t *testing.T) {
	rounds := envInt(t, "STARLING_ROUNDS", 50)
	seed := uint64(envInt(t, "STARLING_SEED", int(time.Now().UnixNano()&0xffffff)))
	t.Logf("seed %d, %d rounds", seed, rounds)
	rnd := rand.New(rand.NewPCG(seed, 9))
	m := own(t, mesh.Options{})
	w := newTown(t, m)
	k := &killing{town: w, ledger: newLedger(), rnd: rnd}
	k.channels = []proto.ID{w.general, take[proto.Channel](t)(w.owner.Channel(within(t, patience), w.guild.ID, "second")).ID}
	for i := range 4 {
		bot, _ := w.bot(fmt.Sprint("writer", i), true)
		k.writers = append(k.writers, bot)
	}
	for round := range rounds {
		k.round(round)
		if t.Failed() {
			t.Fatalf("round %d of seed %d", round, seed)
		}
	}
	k.check(true)
	t.Logf("%d messages, %d commands left unanswered, %d started meshes killed before they were ready; start to ready: worst %v",
		len(k.ledger.byKey), k.unanswered, k.early, k.worst)
}

func envInt(t *testing.T, name string, def int) int {
	s := os.Getenv(name)
	if s == "" {
		return def
	}
	return take[int](t)(strconv.Atoi(s))
}

// killing is one run of the story.
type killing struct {
	*town
	ledger   *ledger
	rnd      *rand.Rand
	channels []proto.ID
	writers  []client.Bot
	hearing  sync.WaitGroup

	unanswered, early int
	worst             time.Duration
}

// round writes until the kill, starts again and checks.
func (k *killing) round(n int) {
	t := k.t
	ctx, stop := context.WithTimeout(t.Context(), 60*time.Second)
	defer stop()
	k.listen(n)
	load, end := context.WithCancel(ctx)
	defer end()
	var wg sync.WaitGroup
	lost := make([]int, len(k.writers))
	for i, bot := range k.writers {
		rnd := rand.New(rand.NewPCG(k.rnd.Uint64(), uint64(i)))
		wg.Go(func() { lost[i] = k.write(load, n, i, bot, rnd) })
	}
	await(ctx, time.Duration(50+k.rnd.IntN(750))*time.Millisecond)
	must(t, k.m.Kill())
	end()
	wg.Wait()
	k.hearing.Wait()
	for _, n := range lost {
		k.unanswered += n
	}
	k.owner.HTTP.CloseIdleConnections()
	for k.rnd.IntN(5) == 0 { // now and then the next one is killed while it starts
		must(t, k.m.Launch())
		await(ctx, time.Duration(k.rnd.IntN(900))*time.Millisecond)
		must(t, k.m.Kill())
		k.early++
	}
	must(t, k.m.Start(ctx))
	k.worst = max(k.worst, k.m.Since())
	k.check(false)
}

func await(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (k *killing) check(all bool) {
	k.t.Helper()
	problems, err := k.ledger.check(within(k.t, 60*time.Second), k.owner, k.channels, all)
	must(k.t, err)
	for i, p := range problems {
		if i == 20 {
			k.t.Errorf("and %d more", len(problems)-i)
			break
		}
		k.t.Error(p)
	}
}

// listen connects a session that notes what it hears until its mesh is killed.
func (k *killing) listen(round int) {
	s := k.open(round%mesh.Edges, k.writers[round%len(k.writers)].Token, client.Options{}, nil)
	k.hearing.Go(func() {
		for mark := 0; ; {
			e, err := s.Await(k.t.Context(), mark, func(client.Event) bool { return true })
			if err != nil {
				return
			}
			mark++
			var m proto.Message
			if e.T == "MESSAGE_CREATE" && e.Into(&m) == nil {
				k.ledger.hear(m)
			}
		}
	})
}

// write sends, edits and deletes until a call fails. It returns how many commands were not answered.
func (k *killing) write(ctx context.Context, round, writer int, bot client.Bot, rnd *rand.Rand) (unanswered int) {
	r := k.owner.As(bot.Auth()).At(k.m.HTTP(rnd.IntN(mesh.Edges)))
	var own []*note
	for i := 0; ctx.Err() == nil; i++ {
		var err error
		n := &note{key: fmt.Sprintf("r%d.w%d.%d", round, writer, i), channel: k.channels[rnd.IntN(len(k.channels))], author: bot.ID}
		choice, at := rnd.IntN(10), 0
		if len(own) > 0 && choice < 4 {
			at = rnd.IntN(len(own))
			n = own[at]
		}
		switch {
		case len(own) > 0 && choice < 2:
			k.ledger.begin(n, "")
			if err = r.Delete(ctx, n.channel, n.id); err == nil {
				k.ledger.done(n, n.id)
			}
			own = append(own[:at], own[at+1:]...)
		case len(own) > 0 && choice < 4:
			text := fmt.Sprintf("%s edited %d", n.key, i)
			k.ledger.begin(n, text)
			if _, err = r.Edit(ctx, n.channel, n.id, text); err == nil {
				k.ledger.done(n, n.id)
			}
		default:
			k.ledger.begin(n, n.key)
			var m proto.Message
			if m, err = r.Say(ctx, n.channel, n.key); err == nil {
				k.ledger.done(n, m.ID)
				own = append(own, n)
			}
		}
		if err != nil {
			var api *proto.Error
			if errors.As(err, &api) && api.Status < 500 {
				k.t.Errorf("round %d, writer %d: %v", round, writer, err)
			}
			return 1
		}
	}
	return 0
}
