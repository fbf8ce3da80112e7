package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/loadtest/mesh"
)

// What is asked of a herd.
const (
	herdSessions = 10_000
	herdGuilds   = 10
	herdBots     = 20 // of each guild
	herdTries    = 20_000
	herdBack     = 30 * time.Second
	herdLasting  = 28 * time.Second // that others are watched: while the herd comes back
	herdSlowdown = 2.0              // p99 of others, against the usual
)

// proveHerd kills the edge of ten thousand sessions, and looks how soon they are back at the other two, and what those who were there feel of it.
func proveHerd(ctx context.Context, r *report) error {
	bin, err := mesh.Build(mesh.Race)
	if err != nil {
		return err
	}
	m, err := mesh.New(mesh.Options{Bin: bin, Processes: true, Edges: 3})
	if err != nil {
		return err
	}
	defer m.Close()
	if err := m.Start(ctx); err != nil {
		return err
	}
	w := &wire{r: r, m: m, began: time.Now()}
	if err := w.people(ctx); err != nil {
		return err
	}
	tokens, err := w.herdPeople(ctx)
	if err != nil {
		return err
	}
	h, err := startHerd(ctx, herdOrders{At: m.Gateway(2), Others: []string{m.Gateway(0), m.Gateway(1)}, Tokens: tokens, Each: herdSessions / len(tokens)})
	if err != nil {
		return err
	}
	defer h.kill()
	r.note("%d sessions come to edge-3", herdSessions)
	if line, err := h.out.ReadString('\n'); err != nil || line != "live\n" {
		return fmt.Errorf("herd: %q: %w\n%s", line, err, m.LogTail(20))
	}
	r.note("honest clients at the other edges: %d/s for %v", honestRate, herdLasting)
	p, err := w.honest(ctx, 2*herdLasting)
	if err != nil {
		return err
	}
	defer p.leave()
	usual, err := p.talk(ctx, herdLasting)
	if err != nil {
		return err
	}
	if err := setApart(m, "edge-3"); err != nil {
		return err
	}
	r.note("edge-3 is killed")
	if err := m.Signal("edge-3", syscall.SIGKILL); err != nil {
		return err
	}
	during, err := p.talk(ctx, herdLasting)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, m.LogTail(20))
	}
	line, err := h.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("herd: %w", err)
	}
	var got herdOutcome
	if err := json.Unmarshal(line, &got); err != nil {
		return err
	}
	r.line(fmt.Sprintf("edge with %d sessions killed: all of them live again at others", got.Sessions), "≤ "+herdBack.String(),
		fmt.Sprintf("%v (p50 %v, p95 %v each, of which up to %v before it tries; %d tries)", got.Last.Round(10*time.Millisecond), quantile(got.Times, .5).Round(10*time.Millisecond),
			quantile(got.Times, .95).Round(10*time.Millisecond), herdBackoff, got.Tries), got.Last <= herdBack && len(got.Times) == got.Sessions)
	r.line("of these, sessions that had to identify anew", "0", fmt.Sprint(got.Anew), got.Anew == 0)
	p99 := quantile(usual, .99)
	r.atMost(fmt.Sprintf("p99 of clients at other edges for the %v from the kill, usual %v; the herd and the edge that dies have what processors are left (SCHED_IDLE), as they would be elsewhere",
		herdLasting, p99.Round(100*time.Microsecond)), time.Duration(float64(p99)*herdSlowdown), quantile(during, .99),
		fmt.Sprintf(" (p50 %v, usual %v)", quantile(during, .5).Round(100*time.Microsecond), quantile(usual, .5).Round(100*time.Microsecond)))
	return nil
}

// setApart leaves to an edge that will die, and to the process that buries it, what processors are left: both would be elsewhere. To bury a process of
// ten thousand sockets takes the kernel up to 0.2 s where somebody had listed them in /proc.
func setApart(m *mesh.Mesh, edge string) error {
	if err := m.GiveWay(edge); err != nil {
		return err
	}
	return mesh.GiveWay(m.PID())
}

// herdPeople are bots in guilds of their own. One of them has its home in the bucket that people talk in, as by chance one herd in five has: its sessions
// have to read all that was said since, for something in it may be theirs.
func (w *wire) herdPeople(ctx context.Context) ([]string, error) {
	near, err := w.nearBot(ctx)
	if err != nil {
		return nil, err
	}
	w.r.note("%d guilds of %d bots for the herd", herdGuilds, herdBots)
	tokens := make([]string, herdGuilds*herdBots)
	return tokens, each(herdGuilds, 4, func(i int) error {
		g, err := w.owner.Guild(ctx, fmt.Sprint("Herd ", i))
		if err != nil {
			return err
		}
		for k := range herdBots {
			b := near
			if i+k > 0 {
				if b, err = w.owner.Application(ctx, fmt.Sprintf("herd%d-%d", i, k)); err != nil {
					return err
				}
			}
			if err := w.owner.AddBot(ctx, g.ID, b.ID); err != nil {
				return err
			}
			tokens[i*herdBots+k] = b.Token
		}
		return nil
	})
}

// nearBot makes bots until the home of one is the bucket of the guild that people talk in.
func (w *wire) nearBot(ctx context.Context) (client.Bot, error) {
	w.r.note("bots, until one has its home where people talk")
	for i := range herdTries {
		b, err := w.owner.Application(ctx, fmt.Sprintf("near%d", i))
		if err != nil || b.ID.Bucket() == w.guild.Bucket() {
			return b, err
		}
	}
	return client.Bot{}, fmt.Errorf("none of %d bots has its home in bucket %d", herdTries, w.guild.Bucket())
}

// A herd is the process that has the sessions: this program again.
type herd struct {
	*elsewhere
	out *bufio.Reader
}

func startHerd(ctx context.Context, o herdOrders) (*herd, error) {
	h := &herd{}
	var err error
	h.elsewhere, err = startElsewhere(ctx, herdersName, o, func(cmd *exec.Cmd) error {
		out, err := cmd.StdoutPipe()
		h.out = bufio.NewReader(out)
		return err
	})
	return h, err
}
