package faults

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/starling-chat/starling/loadtest/check"
)

// OwnerKilled kills -9 the core that owns most of what the load is in. The others own it then; in phase "joining" it is back and takes its
// share, bucket by bucket.
func OwnerKilled() Fault {
	return Fault{"owner killed", func(ctx context.Context, l *Lab, run *check.Run) error {
		core, buckets, err := l.busiest(ctx, run)
		if err != nil {
			return err
		}
		l.Log("kill -9 %s, which owns buckets %v of the load", core, buckets)
		if err := l.Mesh.Signal(core, syscall.SIGKILL); err != nil {
			return err
		}
		if err := wait(ctx, awayFor-time.Second); err != nil {
			return err
		}
		run.Phase("joining")
		return l.whole(ctx)
	}}
}

// OwnerStopped freezes the core that owns most of what the load is in for a while. What was sent to it meanwhile waits in its sockets, and it
// executes that as the owner that it believes to be, until the log tells it better. Where it is frozen for so long that nobody holds a
// connection to it any more, nothing waits.
func OwnerStopped(d time.Duration) Fault {
	return Fault{fmt.Sprintf("owner stopped %v", d), func(ctx context.Context, l *Lab, run *check.Run) (err error) {
		core, buckets, err := l.busiest(ctx, run)
		if err != nil {
			return err
		}
		before, err := l.late(ctx, core)
		if err != nil {
			return err
		}
		l.Log("SIGSTOP %s for %v, which owns buckets %v of the load", core, d, buckets)
		if err := l.Mesh.Signal(core, syscall.SIGSTOP); err != nil {
			return err
		}
		err = wait(ctx, d)
		run.Phase(fmt.Sprintf("continued after %v", d))
		if err := errors.Join(err, l.Mesh.Signal(core, syscall.SIGCONT)); err != nil {
			return err
		}
		if err := l.whole(ctx); err != nil {
			return err
		}
		after, err := l.late(ctx, core)
		if err != nil {
			return err
		}
		n := after.less(before)
		l.Log("%s was asked late: %v", core, n)
		if n.superseded+n.expired+n.lost+n.moved == 0 {
			return fmt.Errorf("nothing came late to %s: it had nothing to refuse", core)
		}
		return nil
	}}
}

// CoreLeaves ends the core that owns most of what the load is in as an operator does; it is started again later, in phase "joining again".
func CoreLeaves() Fault {
	return Fault{"core leaving", func(ctx context.Context, l *Lab, run *check.Run) error {
		core, buckets, err := l.busiest(ctx, run)
		if err != nil {
			return err
		}
		l.Log("SIGTERM %s, which owns buckets %v of the load", core, buckets)
		begun := time.Now()
		if err := l.Mesh.Signal(core, syscall.SIGTERM); err != nil {
			return err
		}
		if err := l.gone(ctx, core); err != nil {
			return err
		}
		l.Log("%s was gone after %v", core, time.Since(begun).Round(time.Millisecond))
		if err := wait(ctx, time.Second); err != nil {
			return err
		}
		run.Phase("joining again")
		return l.whole(ctx)
	}}
}

// kill kills -9 a role.
func (l *Lab) kill(name string) error { return l.Mesh.Signal(name, syscall.SIGKILL) }

// Late is what a core counts that came too late for it.
type late struct{ superseded, expired, lost, moved float64 }

func (l *Lab) late(ctx context.Context, core string) (n late, err error) {
	for _, m := range []struct {
		to            *float64
		metric, label string
	}{{&n.superseded, "starling_bucket_superseded_total", ""}, {&n.expired, "starling_bucket_refused_total", `"expired"`},
		{&n.lost, "starling_bucket_refused_total", `"lost"`}, {&n.moved, "starling_bucket_refused_total", `"moved"`}} {
		if *m.to, err = l.metric(ctx, core, m.metric, m.label); err != nil {
			return n, err
		}
	}
	return n, nil
}

func (n late) less(m late) late {
	return late{n.superseded - m.superseded, n.expired - m.expired, n.lost - m.lost, n.moved - m.moved}
}

func (n late) String() string {
	return fmt.Sprintf("%.0f buckets found taken by the log, commands: %.0f expired, %.0f of lost buckets, %.0f sent on", n.superseded, n.expired, n.lost, n.moved)
}
