package dev

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/starling-chat/starling/cmd/starling/internal/devca"
	"github.com/starling-chat/starling/cmd/starling/internal/role"
	"github.com/starling-chat/starling/relay"
)

// UnderDev is set in the environment of role processes: a ctrl-C that their whole group hears is for the parent to act on.
const UnderDev = "STARLING_UNDER_DEV"

const (
	drainGrace = 15 * time.Second       // beyond the drain window, then a process that was asked to stop is killed
	restartMin = 100 * time.Millisecond // before the first restart unless told otherwise, doubled with each that did not get ready
	restartMax = 3 * time.Second
)

// processes makes each role as a process of this binary.
type processes struct {
	cfg     *Config
	files   devca.Files
	trust   *devca.Mesh
	mesh    *meshFile
	spawner *spawner
	log     *slog.Logger
}

// node implements maker.
func (m *processes) node(r Row) (role.Node, error) {
	if err := m.mesh.put(r); err != nil {
		return nil, err
	}
	files, err := m.trust.Issue(r.Role, r.Name)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	return &child{m: m, row: r, args: m.args(r, files), ready: make(chan struct{})}, nil
}

// page implements maker: the process serves its own.
func (m *processes) page(Row) string { return "" }

// args are the subcommand that is the row's role.
func (m *processes) args(r Row, files relay.TLSFiles) []string {
	args := []string{r.Role, "--name", r.Name, "--region", region, "--admin", r.Admin,
		"--mesh-cert", files.Cert, "--mesh-key", files.Key, "--mesh-ca", files.CA, "--log", m.cfg.LogLevel.String()}
	switch r.Role {
	case "hub":
		args = append(args, "--data", m.cfg.hubDir(r.Name), "--nats", r.NATS, "--leafnodes", r.leafnodes, "--cluster", r.cluster, "--peers", r.peers)
	case "leaf":
		args = append(args, "--nats", r.NATS, "--hub", r.upstream)
	case "core":
		args = append(args, "--data", m.cfg.path("core"), "--hub", r.upstream, "--access-life", accessLife.String(),
			"--rate-limits="+strconv.FormatBool(m.cfg.RateLimits), "--presence-ttl", m.cfg.PresenceTTL.String(),
			"--postgres", m.cfg.Postgres, "--redis", m.cfg.Redis, "--cql", m.cfg.CQLHosts, "--cql-replication", strconv.Itoa(max(1, m.cfg.CQL.Replication)))
	case "edge":
		args = append(args, "--leaf", r.upstream, "--http", r.HTTP, "--tls", r.TLS, "--public-url", m.cfg.PublicURL,
			"--drain-window", m.cfg.DrainWindow.String(), "--presence-ttl", m.cfg.PresenceTTL.String())
		if r.TLS != "" {
			args = append(args, "--tls-cert", m.files.Cert, "--tls-key", m.files.Key)
		}
	}
	return args
}

// stopLimit is how long a process may take from SIGTERM to its end.
func (m *processes) stopLimit() time.Duration { return m.cfg.DrainWindow + drainGrace }

// start runs one process of a row.
func (m *processes) start(args []string) (*exec.Cmd, error) {
	cmd := exec.Command(m.cfg.Executable, args...)
	cmd.Env = append(os.Environ(), UnderDev+"=1")
	cmd.Stdout, cmd.Stderr = m.cfg.Log, m.cfg.Log
	cmd.SysProcAttr = diesWithParent()
	cmd.WaitDelay = time.Second
	return cmd, m.spawner.start(cmd)
}

// A child is a role in a process of its own.
type child struct {
	m     *processes
	row   Row
	args  []string
	ready chan struct{}
	seen  bool // ready was closed; Run's
}

// Run is Node's: it keeps the process, or, without --restart, tells that it ended and waits.
func (c *child) Run(ctx context.Context) error {
	first := cmp.Or(c.m.cfg.RestartPause, restartMin)
	pause := first
	for ctx.Err() == nil {
		cmd, err := c.m.start(c.args)
		if err != nil {
			return err
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		c.note(cmd.Process.Pid)
		if c.waitReady(ctx, ended) {
			pause = first
			if !c.seen {
				c.seen = true
				close(c.ready)
			}
		}
		select {
		case err = <-ended:
		case <-ctx.Done():
			return stopProcess(cmd, ended, c.m.stopLimit())
		}
		c.note(0)
		if !c.seen {
			return fmt.Errorf("process %d ended before it was ready: %v", cmd.Process.Pid, err)
		}
		c.m.log.Warn("role process ended", "name", c.row.Name, "pid", cmd.Process.Pid, "state", cmd.ProcessState, "restart", c.m.cfg.Restart)
		if !c.m.cfg.Restart {
			<-ctx.Done()
			return nil
		}
		sleep(ctx, pause)
		pause = max(first, min(2*pause, restartMax))
	}
	return nil
}

// waitReady looks at the process's page until it says ready; false if the process or ctx ended first. What ended receives stays there.
func (c *child) waitReady(ctx context.Context, ended chan error) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if askReady(ctx, c.row.Admin) == nil {
			return true
		}
		select {
		case err := <-ended:
			ended <- err
			return false
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

func (c *child) note(pid int) {
	row := c.row
	row.PID = pid
	if err := c.m.mesh.put(row); err != nil {
		c.m.log.Error("mesh.json is out of date", "err", err)
	}
}

// stopProcess asks a process to end and kills it if it takes too long.
func stopProcess(cmd *exec.Cmd, ended <-chan error, limit time.Duration) error {
	_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended: then ended says so
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("process %d: %w", cmd.Process.Pid, err)
		}
		return nil
	case <-t.C:
		_ = cmd.Process.Kill()
		<-ended
		return fmt.Errorf("process %d did not stop within %v and was killed", cmd.Process.Pid, limit)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
