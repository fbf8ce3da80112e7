package dev

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"time"

	"github.com/starling-chat/starling/anycast"
	"github.com/starling-chat/starling/cmd/starling/internal/devca"
	"github.com/starling-chat/starling/core/auth"
)

// Run starts the mesh, says where it is, and serves until ctx ends; then it drains. nil means that all of it stopped in order.
func Run(ctx context.Context, cfg Config) (err error) {
	began := time.Now()
	lock, err := lockFolder(cfg.Data)
	if err != nil {
		return err
	}
	defer lock.Close()
	kept, err := openPorts(ctx, cfg.path("ports.json"))
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	p, err := makePlan(ctx, &cfg, kept)
	if err != nil {
		return err
	}
	if err := p.free(ctx); err != nil {
		return err
	}
	if err := errors.Join(kept.save(), cfg.checkHubs()); err != nil {
		return fmt.Errorf("data: %w", err)
	}
	files, err := devca.Open(cfg.path("tls"), began)
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	trust, err := devca.OpenMesh(cfg.path("tls", "mesh"), began)
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	if _, err := trust.Issue("core", "tool"); err != nil { // for whoever measures, or looks with a NATS client
		return fmt.Errorf("data: %w", err)
	}
	if _, err := auth.OpenKeys(cfg.path("core", "keys")); err != nil { // made before several cores make each its own
		return fmt.Errorf("data: %w", err)
	}
	mesh, err := newMeshFile(cfg.path("mesh.json"))
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	log := slog.New(slog.NewTextHandler(cfg.Log, &slog.HandlerOptions{Level: cfg.LogLevel}))
	var m maker
	if cfg.Processes {
		s := startSpawner(len(p.hubs)+len(p.cores)+len(p.leaves)+len(p.edges) > runtime.NumCPU())
		defer s.stop()
		m = &processes{cfg: &cfg, files: files, trust: trust, mesh: mesh, spawner: s, log: log}
	} else {
		e, err := newEmbedded(ctx, &cfg, files, trust, mesh, log)
		if err != nil {
			return err
		}
		defer e.close()
		m = e
	}

	vip, err := listenVIP(&cfg, p, log)
	if err != nil {
		return err
	}
	if vip != nil {
		vipCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
		done := make(chan error, 1)
		go func() { done <- vip.Run(vipCtx) }()
		defer func() { stop(); err = errors.Join(err, <-done) }() // after the edges: clients hear of the drain through it
	}
	f := newFleet(m, cfg.Log)
	defer func() { err = errors.Join(err, mesh.remove(), f.shutdown()) }()
	for _, stage := range [][]Row{p.hubs, slices.Concat(p.cores, p.leaves), p.edges} {
		if err := f.start(ctx, stage...); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
	if vip != nil {
		waitRoutes(ctx, vip, len(p.edges))
	}
	if err := mesh.write(); err != nil {
		return fmt.Errorf("data: %w", err)
	}
	banner(cfg.Out, &cfg, p, files, time.Since(began))
	select {
	case <-ctx.Done():
		return nil
	case err := <-f.failed:
		return err
	}
}

// listenVIP takes the address of the forwarder before any edge is told of it.
func listenVIP(cfg *Config, p *plan, log *slog.Logger) (*anycast.Forwarder, error) {
	if cfg.VIP == "" {
		return nil, nil
	}
	var edges []anycast.Edge
	for _, e := range p.edges {
		edges = append(edges, anycast.Edge{Addr: e.HTTP, Health: "http://" + e.Admin + "/readyz"})
	}
	f, err := anycast.Listen(anycast.Config{Addr: cfg.VIP, Edges: edges, Log: log})
	if err != nil {
		return nil, fmt.Errorf("vip: %w", err)
	}
	p.vip = f.Addr().String()
	if cfg.PublicURL == "" {
		cfg.PublicURL = "http://" + p.vip
	}
	return f, nil
}

// waitRoutes waits until the forwarder has seen every edge, so that the first command that somebody pastes does not come too early.
func waitRoutes(ctx context.Context, f *anycast.Forwarder, edges int) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for f.Live() < edges && ctx.Err() == nil {
		sleep(ctx, 5*time.Millisecond)
	}
}
