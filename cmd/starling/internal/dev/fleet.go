package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/starling-chat/starling/cmd/starling/internal/role"
)

// A maker makes the node of a row: inside this process, or as a process of its own.
type maker interface {
	node(Row) (role.Node, error)
	page(Row) string // where this process is to serve the node's admin page; "" if not here
}

// startLimit is how long a role may take to be ready. It is far beyond what any takes, replaying a day of log included.
const startLimit = time.Minute

// A fleet is the nodes that run. One goroutine calls it; each node has a goroutine of its own, ended by stop.
type fleet struct {
	maker  maker
	nodes  []*running
	failed chan error // the first node that ended unasked; capacity 1
	log    io.Writer
}

type running struct {
	row  Row
	node role.Node
	stop context.CancelFunc
	done chan struct{}
	err  error // set before done is closed
}

func newFleet(m maker, log io.Writer) *fleet {
	return &fleet{maker: m, failed: make(chan error, 1), log: log}
}

// start runs the nodes of rows and waits until all are ready.
func (f *fleet) start(ctx context.Context, rows ...Row) error {
	first := len(f.nodes)
	for _, row := range rows {
		n, err := f.maker.node(row)
		if err != nil {
			return fmt.Errorf("%s: %w", row.Name, err)
		}
		nodeCtx, stop := context.WithCancel(context.WithoutCancel(ctx)) // nodes stop in order, not all when ctx ends
		r := &running{row: row, node: n, stop: stop, done: make(chan struct{})}
		f.nodes = append(f.nodes, r)
		go f.run(nodeCtx, r)
	}
	for _, r := range f.nodes[first:] {
		if err := role.WaitReady(ctx, r.node, r.done, startLimit); err != nil {
			select {
			case <-r.done:
				if r.err != nil {
					return r.err
				}
			default:
			}
			return err
		}
	}
	return nil
}

func (f *fleet) run(ctx context.Context, r *running) {
	defer close(r.done)
	if err := role.Serve(ctx, r.node, f.maker.page(r.row)); err != nil {
		r.err = fmt.Errorf("%s: %w", r.row.Name, err)
	} else if ctx.Err() == nil {
		r.err = fmt.Errorf("%s ended by itself", r.row.Name)
	}
	if r.err != nil && ctx.Err() == nil {
		select {
		case f.failed <- r.err:
		default:
		}
	}
}

// shutdown drains the edges, then stops the rest, those first that depend on others.
func (f *fleet) shutdown() error {
	var errs []error
	began := time.Now()
	edges := f.byRole("edge")
	if len(edges) > 0 {
		fmt.Fprintf(f.log, "draining %d edges: clients are sent elsewhere (ctrl-C again stops at once)\n", len(edges))
	}
	for i, r := range f.stopAll(edges) {
		errs = append(errs, r.err)
		fmt.Fprintf(f.log, "drained %d of %d edges: %s after %v\n", i+1, len(edges), r.row.Name, time.Since(began).Round(10*time.Millisecond))
	}
	for _, name := range []string{"core", "leaf", "hub"} {
		for _, r := range f.stopAll(f.byRole(name)) {
			errs = append(errs, r.err)
		}
	}
	if len(f.nodes) > 0 {
		fmt.Fprintf(f.log, "stopped after %v\n", time.Since(began).Round(10*time.Millisecond))
	}
	return errors.Join(errs...)
}

func (f *fleet) byRole(name string) []*running {
	var list []*running
	for _, r := range f.nodes {
		if r.row.Role == name {
			list = append(list, r)
		}
	}
	return list
}

// stopAll stops nodes at the same time and yields each as it ends.
func (f *fleet) stopAll(nodes []*running) func(yield func(int, *running) bool) {
	return func(yield func(int, *running) bool) {
		ended := make(chan *running, len(nodes))
		for _, r := range nodes {
			r.stop()
			go func() { <-r.done; ended <- r }()
		}
		for i := range nodes {
			if r := <-ended; !yield(i, r) {
				return
			}
		}
	}
}
