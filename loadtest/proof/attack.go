package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/starling-chat/starling/loadtest/mesh"
)

// What is asked while the mesh is attacked.
const (
	slowdown    = 2.0 // p99 under attack, against the usual
	memoryBound = 1.2 // heap after the attack, against that before
	memoryWait  = 20 * time.Second
	attackRate  = 200 // hostile calls per second
	frameRate   = 20  // connections per second that send a hostile frame
	idleSockets = 10_000
	loginRate   = 10 // per second, each a password hash: what one address may do where rate limits are on
)

// attack measures honest clients alone, then while others attack, and looks whether the mesh has its memory back afterwards.
func (w *wire) attack(ctx context.Context) error {
	w.r.note("honest clients alone: %d/s for %v", honestRate, honestLasting)
	usual, err := w.talkOnce(ctx, honestLasting)
	if err != nil {
		return err
	}
	before, err := w.heap(ctx, 3*time.Second)
	if err != nil {
		return err
	}
	w.r.note("under attack")
	a, err := w.startAttack(ctx)
	if err != nil {
		return err
	}
	began, err := usedCPU(w.m.PID())
	if err != nil {
		return errors.Join(err, a.kill())
	}
	under, err := w.talkOnce(ctx, honestLasting)
	ended, _ := usedCPU(w.m.PID())
	w.r.note("%s", ended.since(began))
	got, err2 := a.stop()
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	w.r.note("hostile answers: %v; sockets opened: %d", got.Answers, got.Sockets)
	w.r.zero("answers 5xx under attack (503 with Retry-After from the queue of password hashes excepted)", got.Failures)
	seconds := got.Took.Seconds()
	if w.parts == nil {
		w.r.line("strength of the attack", fmt.Sprintf("≥ %d calls, %d logins, %d connections a second; %d sockets", attackRate*9/10, loginRate*9/10, frameRate*9/10, idleSockets),
			fmt.Sprintf("%.0f, %.1f, %.1f; %d", float64(got.Calls)/seconds, float64(got.Logins)/seconds, float64(got.Frames)/seconds, got.Sockets),
			float64(got.Calls) >= .9*attackRate*seconds && float64(got.Logins) >= .9*loginRate*seconds && float64(got.Frames) >= .9*frameRate*seconds && got.Sockets >= idleSockets)
	}
	p99 := quantile(usual, .99)
	w.r.atMost(fmt.Sprintf("honest p99 under attack (%d hostile calls/s, %d half-open sockets, password hashes), usual %v; attackers are a process that has "+
		"what processors are left (SCHED_IDLE), as they would be elsewhere", attackRate, idleSockets, p99.Round(100*time.Microsecond)), time.Duration(float64(p99)*slowdown),
		quantile(under, .99), fmt.Sprintf(" (p50 %v, usual %v)", quantile(under, .5).Round(100*time.Microsecond), quantile(usual, .5).Round(100*time.Microsecond)))
	after := before
	for until := time.Now().Add(memoryWait); ; {
		if after, err = w.heap(ctx, 3*time.Second); err != nil {
			return err
		}
		if after <= before*memoryBound || time.Now().After(until) {
			break
		}
	}
	w.r.line("heap after the attack, collected", fmt.Sprintf("≤ %.1f MiB (%.1f before)", before*memoryBound, before), fmt.Sprintf("%.1f MiB", after),
		after <= before*memoryBound)
	return nil
}

// attack is the process that attacks: this program again. It gives way, because the machine's cores are the mesh's: who attacks a mesh does it
// from elsewhere. That it attacks as hard as it is to is a line of its own.
type attack struct {
	*elsewhere
	out bytes.Buffer
}

func (w *wire) startAttack(ctx context.Context) (*attack, error) {
	o := orders{Parts: w.parts, Channel: w.channel.String(), Good: w.bots[1].Auth(), Forged: "Bot " + w.bots[0].Token + "x"}
	for i := range mesh.Edges {
		o.HTTP, o.Gateway, o.Addr = append(o.HTTP, w.m.HTTP(i)), append(o.Gateway, w.m.Gateway(i)), append(o.Addr, w.m.Addr(i))
	}
	a := &attack{}
	var err error
	a.elsewhere, err = startElsewhere(ctx, attackersName, o, func(cmd *exec.Cmd) error { cmd.Stdout = &a.out; return nil })
	return a, err
}

// stop ends the attack and gives what came of it.
func (a *attack) stop() (got outcome, err error) {
	a.stdin.Close()
	if err := a.cmd.Wait(); err != nil {
		return got, fmt.Errorf("attackers: %w", err)
	}
	if err := json.Unmarshal(a.out.Bytes(), &got); err != nil {
		return got, fmt.Errorf("attackers: %w", err)
	}
	return got, nil
}
