package faults

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/starling-chat/starling/deploy/servers"
	"github.com/starling-chat/starling/loadtest/check"
	"github.com/starling-chat/starling/loadtest/mesh"
)

// A Lab is a mesh of processes on real servers of its own. One story runs at a time; each leaves it whole.
type Lab struct {
	Mesh      *mesh.Mesh
	Postgres  *servers.Server
	Cassandra *servers.Server
	Redis     *servers.Server
	Log       func(format string, args ...any)

	bin     string // of the mesh
	clocks  string // folder of the clocks of its processes
	closers []func() error
}

// Open starts servers and mesh. bin is the mesh's binary, "" for one that is built.
func Open(ctx context.Context, bin string, log func(format string, args ...any)) (*Lab, error) {
	l := &Lab{Log: log}
	if err := l.open(ctx, bin); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *Lab) open(ctx context.Context, bin string) (err error) {
	for _, part := range []struct {
		name string
		to   **servers.Server
	}{{"postgres", &l.Postgres}, {"redis", &l.Redis}, {"cassandra", &l.Cassandra}} {
		if err := l.serve(part.to, part.name); err != nil {
			return err
		}
	}
	if err := l.build(bin); err != nil {
		return err
	}
	l.Mesh, err = mesh.New(mesh.Options{Bin: bin, Processes: true,
		Args: []string{"--restart", "--log", "info", "--postgres", l.Postgres.Address, "--cql", l.Cassandra.Address,
			"--redis", l.Redis.Address}})
	if err != nil {
		return err
	}
	l.closers = append(l.closers, l.Mesh.Close)
	return l.Mesh.Start(ctx)
}

// serve starts a server that lives until Close.
func (l *Lab) serve(to **servers.Server, name string) error {
	s, err := servers.Launch(name, servers.Keeps, servers.Soon, servers.Slack)
	if err != nil {
		return err
	}
	*to = s
	l.closers = append(l.closers, s.Close)
	return nil
}

func (l *Lab) build(bin string) (err error) {
	if bin == "" {
		bin, err = mesh.Build(false)
	}
	l.bin = bin
	return err
}

// Close ends mesh and servers.
func (l *Lab) Close() error {
	var errs []error
	for i := len(l.closers) - 1; i >= 0; i-- {
		errs = append(errs, l.closers[i]())
	}
	l.closers = nil
	return errors.Join(errs...)
}

// Figures of a story.
type Figures struct {
	*check.Figures
	Caught time.Duration // from the server's return until history held all that was acknowledged by then
	Built  int           // channels made meanwhile
	Acts   int           // of editors, which have one order
}

// String is a table.
func (f *Figures) String() string {
	more := ""
	if f.Acts > 0 {
		more = fmt.Sprintf("%d channels made, %d acts of editors\n", f.Built, f.Acts)
	}
	return fmt.Sprintf("%shistory whole %.1f s after the server was back\n%s", f.Figures, f.Caught.Seconds(), more)
}

// plan of the load that every story has.
func (l *Lab) plan(rate float64) check.Plan {
	p := check.Plan{Rate: rate}
	for i := range mesh.Edges {
		p.Edges = append(p.Edges, l.Mesh.HTTP(i))
	}
	return p
}

// wait lets a phase go on for a while.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// story is the frame of all: calm, the fault, the return, until history has caught up, and the verdict.
func (l *Lab) story(ctx context.Context, rate float64, calm time.Duration, fault func(*check.Run) error,
	repair func() error) (*Figures, error) {
	run, err := check.Open(ctx, l.plan(rate), "start")
	if err != nil {
		return nil, err
	}
	defer run.Close()
	if err = run.Settled(ctx); err == nil {
		run.Phase("calm")
		err = wait(ctx, calm)
	}
	if err == nil {
		run.Phase("fault")
		err = fault(run)
	}
	if err = errors.Join(err, repair()); err != nil { // whatever happened: the next story needs the server
		return nil, err
	}
	run.Phase("back")
	f := &Figures{}
	if f.Caught, err = run.Caught(ctx); err == nil {
		run.Phase("healed")
		err = wait(ctx, calm)
	}
	if err != nil {
		return nil, err
	}
	f.Figures, err = run.Finish(ctx)
	return f, err
}

// What is done to servers.
func freeze(s *servers.Server) error { return s.Signal(syscall.SIGSTOP) }
func thaw(s *servers.Server) error   { return s.Signal(syscall.SIGCONT) }
func kill(s *servers.Server) error   { return s.Kill() }
