package main

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	"github.com/starling-chat/starling/loadtest/mesh"
)

// A bench is a mesh, each role a process, with a world in it, a pump, and what cores and hub tell of themselves.
type bench struct {
	m     *mesh.Mesh
	w     *world
	pump  *pump
	cores []mesh.Role
	hub   mesh.Role
}

// startBench starts a mesh with more arguments of starling dev.
func startBench(ctx context.Context, r *report, s sizes, args ...string) (*bench, error) {
	bin, err := mesh.Build(mesh.Race)
	if err != nil {
		return nil, err
	}
	b := &bench{}
	if b.m, err = mesh.New(mesh.Options{Bin: bin, Processes: true, Args: args}); err != nil {
		return nil, err
	}
	if err := b.start(ctx, r, s); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bench) start(ctx context.Context, r *report, s sizes) error {
	if err := b.m.Start(ctx); err != nil {
		return err
	}
	var err error
	if b.w, err = settle(ctx, r, b.m, s.guilds); err != nil {
		return err
	}
	roles, err := b.m.Roles()
	if err != nil {
		return err
	}
	for _, role := range roles {
		switch role.Role {
		case "core":
			b.cores = append(b.cores, role)
		case "hub":
			b.hub = role
		}
	}
	trust, err := b.m.Trust()
	if err != nil {
		return err
	}
	b.pump, err = dialPump("nats://"+b.hub.NATS, trust, "local")
	return err
}

func (b *bench) close() {
	if b.pump != nil {
		b.pump.close()
	}
	b.m.Close()
}

// measured is a load's outcome with what it cost, in cores of the machine.
type measured struct {
	taken
	group     float64   // mean messages in a group
	cores     []float64 // each core process
	hub       float64
	own, busy float64 // this program; all of the machine
}

func (b *bench) run(ctx context.Context, l load) (m measured, err error) {
	var before, after sample
	var errs [2]error
	m.taken, err = b.pump.run(ctx, l, func() { before, errs[0] = b.sample(ctx) }, func() { after, errs[1] = b.sample(ctx) })
	for _, e := range append(errs[:], err) {
		if e != nil {
			return m, fmt.Errorf("%w\n%s", e, b.m.LogTail(20))
		}
	}
	if groups := after.groups - before.groups; groups > 0 {
		m.group = (after.grouped - before.grouped) / groups
	}
	wall := after.hub.at.Sub(before.hub.at).Seconds()
	for i := range after.cores {
		m.cores = append(m.cores, (after.cores[i].mesh-before.cores[i].mesh).Seconds()/wall)
	}
	m.hub = (after.hub.mesh - before.hub.mesh).Seconds() / wall
	m.own = (after.hub.own - before.hub.own).Seconds() / wall
	m.busy = (after.hub.busy - before.hub.busy).Seconds() / wall
	return m, nil
}

func (m measured) told() string {
	var sum float64
	var each []string
	for _, used := range m.cores {
		sum += used
		each = append(each, fmt.Sprintf("%.2f", used))
	}
	a := func(cores float64) float64 { return cores * 1e6 / m.rate() } // message, in µs
	return fmt.Sprintf("%s; %.1f messages in a group; cores used: core %s, hub %.2f, senders %.2f, all %.2f of %d; µs of CPU a message: core %.0f, hub %.0f",
		percentiles(m.taken), m.group, strings.Join(each, " + "), m.hub, m.own, m.busy, runtime.NumCPU(), a(sum), a(m.hub))
}
