package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/starling-chat/starling/loadtest/check"
)

const (
	region     = "local" // what starling dev calls it
	logStream  = "EV_" + region + "_0"
	stepEvery  = 500 * time.Millisecond
	stepPrefix = "$JS." + region + ".API.STREAM.LEADER.STEPDOWN."
)

// HubKilled kills -9 the hub that leads the log. It is started again later, in phase "hub back".
func HubKilled() Fault {
	return Fault{"hub killed", func(ctx context.Context, l *Lab, run *check.Run) error {
		hub, err := l.leader(ctx)
		if err != nil {
			return err
		}
		l.Log("kill -9 %s, which leads the log", hub)
		if err := l.Mesh.Signal(hub, syscall.SIGKILL); err != nil {
			return err
		}
		if err := l.gone(ctx, hub); err != nil { // as mesh.json has it: it is not to be taken for the next one
			return err
		}
		err = until(ctx, shareLimit, hub+" runs again", func(context.Context) (bool, error) {
			r, err := l.Mesh.Role(hub)
			return r.PID > 0, err
		})
		if err != nil {
			return err
		}
		run.Phase("hub back")
		return l.whole(ctx)
	}}
}

// HubStopped freezes the hub that leads the log for a while.
func HubStopped(d time.Duration) Fault {
	return Fault{fmt.Sprintf("hub stopped %v", d), func(ctx context.Context, l *Lab, run *check.Run) error {
		hub, err := l.leader(ctx)
		if err != nil {
			return err
		}
		l.Log("SIGSTOP %s, which leads the log, for %v", hub, d)
		if err := l.Mesh.Signal(hub, syscall.SIGSTOP); err != nil {
			return err
		}
		err = wait(ctx, d)
		run.Phase("hub continued")
		if err := errors.Join(err, l.Mesh.Signal(hub, syscall.SIGCONT)); err != nil {
			return err
		}
		return l.whole(ctx)
	}}
}

// LeaderStepsDown has the leader of the log give way to another hub again and again. What it stored and did not publish live clients must
// hear all the same.
func LeaderStepsDown(times int) Fault {
	return Fault{fmt.Sprintf("%d leaders", times), func(ctx context.Context, l *Lab, run *check.Run) error {
		nc, err := l.nats()
		if err != nil {
			return err
		}
		defer nc.Close()
		done := 0
		for done < times {
			stepped, err := stepDown(ctx, nc)
			if ctx.Err() != nil {
				return fmt.Errorf("%d of %d leaders stepped down: %w", done, times, errors.Join(err, ctx.Err()))
			}
			if stepped {
				done++
			}
			if err := wait(ctx, stepEvery); err != nil {
				return err
			}
		}
		return nil
	}}
}

// stepDown asks the leader, if there is one, and tells whether it obeyed.
func stepDown(ctx context.Context, nc *nats.Conn) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	m, err := nc.RequestWithContext(ctx, stepPrefix+logStream, nil)
	if err != nil {
		return false, err
	}
	var a struct {
		Success bool `json:"success"`
	}
	err = json.Unmarshal(m.Data, &a)
	return a.Success, err
}

// nats connects to the hubs as a tool of the mesh.
func (l *Lab) nats() (*nats.Conn, error) {
	hubs, err := l.running("hub")
	if err != nil {
		return nil, err
	}
	trust, err := l.Mesh.Trust()
	if err != nil {
		return nil, err
	}
	var urls []string
	for _, h := range hubs {
		urls = append(urls, "nats://"+h.NATS)
	}
	return nats.Connect(strings.Join(urls, ","), nats.Secure(trust), nats.TLSHandshakeFirst(), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
}

// leader is the hub that leads the log.
func (l *Lab) leader(ctx context.Context) (hub string, err error) {
	nc, err := l.nats()
	if err != nil {
		return "", err
	}
	defer nc.Close()
	err = until(ctx, shareLimit, "a leader of the log", func(ctx context.Context) (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, lookLimit)
		defer cancel()
		m, err := nc.RequestWithContext(ctx, "$JS."+region+".API.STREAM.INFO."+logStream, nil)
		if err != nil {
			return false, err
		}
		var a struct {
			Cluster struct {
				Leader string `json:"leader"`
			} `json:"cluster"`
		}
		err = json.Unmarshal(m.Data, &a)
		hub = a.Cluster.Leader
		return hub != "", err
	})
	return hub, err
}

// gone waits until a role's process has ended.
func (l *Lab) gone(ctx context.Context, name string) error {
	return until(ctx, 30*time.Second, name+" is gone", func(context.Context) (bool, error) {
		r, err := l.Mesh.Role(name)
		return r.PID == 0, err
	})
}
