// Package role runs one role of the mesh, hub, leaf, core or edge, with its admin page. It joins configuration to the packages that do the
// work and does none itself; what it needs of them is only that they start, tell when they are ready, and stop.
package role

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/starling-chat/starling/cmd/starling/internal/admin"
)

// A Node is one role, made but not started.
type Node interface {
	// Run serves until ctx ends and returns when all of it has stopped, drained where the role drains.
	Run(ctx context.Context) error
	// Ready is closed once the role serves for the first time.
	Ready() <-chan struct{}
	Probes() admin.Probes
}

// Serve runs a node, as all that this process does, and its page on addr ("" for none). The page outlives the node's draining.
func Serve(ctx context.Context, n Node, addr string) error {
	go collectLate(ctx)
	if addr == "" {
		return n.Run(ctx)
	}
	page, err := admin.Listen(addr, n.Probes())
	if err != nil {
		return err
	}
	pageCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return page.Run(pageCtx) })
	g.Go(func() error {
		defer stop()
		return n.Run(ctx)
	})
	return g.Wait()
}

var errStarting = errors.New("starting")

// started is nil once ready is closed.
func started(ready <-chan struct{}) error {
	select {
	case <-ready:
		return nil
	default:
		return errStarting
	}
}

// await waits for what nothing tells of but looking; false: ctx ended first.
func await(ctx context.Context, ready func() bool) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// minSecret is the shortest secret that nobody guesses; openssl rand -hex 32 gives twice as much.
const minSecret = 32

// ReadSecret gives the secret of the mesh: every hub, leaf, core and edge of it knows the same.
func ReadSecret(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(text))
	if len(secret) < minSecret {
		return "", fmt.Errorf("%s: %d characters; a secret has at least %d (openssl rand -hex 32 makes one)", path, len(secret), minSecret)
	}
	return secret, nil
}

// WaitReady waits until every node is ready, or one of them ends, or ctx does.
func WaitReady(ctx context.Context, n Node, ended <-chan struct{}, limit time.Duration) error {
	t := time.NewTimer(limit)
	defer t.Stop()
	p := n.Probes()
	select {
	case <-n.Ready():
		return nil
	case <-ended:
		return fmt.Errorf("%s ended before it was ready", p.Name)
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return fmt.Errorf("%s is not ready after %v", p.Name, limit)
	}
}
