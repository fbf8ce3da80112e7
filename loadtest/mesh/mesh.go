// Package mesh starts whole meshes for tests and proofs by running the built binary, `starling dev`, in a process group of its own:
// it waits until the mesh is ready, kills it, starts it again on the same data, drains it. It knows the command line, the admin pages
// and mesh.json, nothing of what runs inside.
package mesh

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Edges is how many edges a mesh has that is not asked for another number.
const Edges = 2

// adminPorts is how many consecutive admin ports a mesh may take: one per role and some to spare.
const adminPorts = 12

// Options of a mesh. The zero value is a mesh without rate limits, all roles in one process, on data of its own.
type Options struct {
	RateLimits bool
	Processes  bool     // each role in its own process
	Edges      int      // default Edges
	Bin        string   // default: Build(Race)
	Dir        string   // data; default a temporary folder that Close removes
	Args       []string // more arguments of starling dev
	Env        []string // more variables of it and of its processes
}

// A Mesh is one `starling dev`. Its methods are for one goroutine.
type Mesh struct {
	opts    Options
	dir     string // holds data and log
	ownDir  bool
	http    int // first port of the edges, likewise below
	tls     int
	admin   int
	cmd     *exec.Cmd
	done    chan error // the process's end; buffered
	started time.Time  // when the last Start ran the binary
}

// New chooses ports and folders; Start runs the mesh.
func New(opts Options) (*Mesh, error) {
	m := &Mesh{opts: opts, dir: opts.Dir}
	var err error
	if m.opts.Bin == "" {
		if m.opts.Bin, err = Build(Race); err != nil {
			return nil, err
		}
	}
	if m.dir == "" {
		m.ownDir = true
		if m.dir, err = os.MkdirTemp("", "starling-mesh-"); err != nil {
			return nil, err
		}
	}
	if m.opts.Edges == 0 {
		m.opts.Edges = Edges
	}
	edges := m.opts.Edges
	base, err := freePorts(2*edges + max(adminPorts, adminPorts-Edges+edges))
	if err != nil {
		return nil, err
	}
	m.http, m.tls, m.admin = base, base+edges, base+2*edges
	return m, nil
}

// Launch runs the binary and returns at once; Ready waits for it.
func (m *Mesh) Launch() error {
	log, err := os.OpenFile(m.LogPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	limits := "off"
	if m.opts.RateLimits {
		limits = "on"
	}
	args := []string{"dev", "--edges", fmt.Sprint(m.opts.Edges), "--http", local(m.http), "--tls", local(m.tls), "--admin", local(m.admin),
		"--data", m.DataDir(), "--rate-limits=" + limits}
	if m.opts.Processes {
		args = append(args, "--processes")
	}
	m.cmd = exec.Command(m.opts.Bin, append(args, m.opts.Args...)...)
	m.cmd.Env = append(os.Environ(), m.opts.Env...)
	m.cmd.Stdout, m.cmd.Stderr = log, log
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	m.started = time.Now()
	if err := m.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", m.opts.Bin, err)
	}
	m.done = make(chan error, 1)
	go func(cmd *exec.Cmd, done chan<- error) { done <- cmd.Wait() }(m.cmd, m.done)
	return nil
}

// Start runs the binary and waits until every edge serves.
func (m *Mesh) Start(ctx context.Context) error {
	if err := m.Launch(); err != nil {
		return err
	}
	return m.Ready(ctx)
}

// Ready waits until the admin page says ready and every edge answers REST (which takes a core), or the process ends, or ctx does.
func (m *Mesh) Ready(ctx context.Context) error {
	urls := make([]string, 0, m.opts.Edges+1)
	for i := range m.opts.Edges {
		urls = append(urls, m.HTTP(i)+"/api/v10/gateway")
	}
	urls = append(urls, m.Admin(0)+"/readyz")
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var last error
	for _, url := range urls {
		for {
			if last = answers(ctx, url); last == nil {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("mesh not ready: %w (%w)\n%s", ctx.Err(), last, m.LogTail(40))
			case err := <-m.done:
				m.done <- err
				return fmt.Errorf("mesh ended before it was ready: %v\n%s", err, m.LogTail(40))
			case <-tick.C:
			}
		}
	}
	return nil
}

func answers(ctx context.Context, url string) error {
	ctx, stop := context.WithTimeout(ctx, 2*time.Second)
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Close = true // leave nothing open towards a mesh that will be killed
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return nil
}

// PID is the process that was started; 0 while none runs.
func (m *Mesh) PID() int {
	if m.cmd == nil {
		return 0
	}
	return m.cmd.Process.Pid
}

// Since is how long ago the binary was run.
func (m *Mesh) Since() time.Duration { return time.Since(m.started) }

// Kill ends the whole process group as kill -9 does and waits for the process.
func (m *Mesh) Kill() error {
	if m.cmd == nil {
		return nil
	}
	err := syscall.Kill(-m.cmd.Process.Pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		err = nil
	}
	<-m.done
	m.cmd = nil
	return err
}

// Drain sends the interrupt of ctrl-C and waits for the exit; an exit code other than 0 is an error.
func (m *Mesh) Drain(ctx context.Context) error {
	if m.cmd == nil {
		return errors.New("not running")
	}
	if err := m.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	select {
	case err := <-m.done:
		m.cmd = nil
		if err != nil {
			return fmt.Errorf("drain: %w\n%s", err, m.LogTail(40))
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("drain: %w\n%s", ctx.Err(), m.LogTail(40))
	}
}

// Close kills what runs and removes the folder if it is the mesh's own.
func (m *Mesh) Close() error {
	err := m.Kill()
	if m.ownDir {
		err = errors.Join(err, os.RemoveAll(m.dir))
	}
	return err
}

// A Role is an entry of mesh.json.
type Role struct {
	Role  string `json:"role"` // core, hub, leaf, edge
	Name  string `json:"name"`
	PID   int    `json:"pid"`
	HTTP  string `json:"http"`
	TLS   string `json:"tls"`
	Admin string `json:"admin"`
	NATS  string `json:"nats"`
}

// Roles reads mesh.json, which a mesh with Processes writes.
func (m *Mesh) Roles() ([]Role, error) {
	b, err := os.ReadFile(filepath.Join(m.DataDir(), "mesh.json"))
	if err != nil {
		return nil, err
	}
	var roles []Role
	if err := json.Unmarshal(b, &roles); err != nil {
		return nil, fmt.Errorf("mesh.json: %w", err)
	}
	return roles, nil
}

// KillRole kills -9 the i-th process of a role, by mesh.json.
func (m *Mesh) KillRole(role string, i int) error {
	roles, err := m.Roles()
	if err != nil {
		return err
	}
	for _, r := range roles {
		if r.Role != role {
			continue
		}
		if i == 0 {
			return syscall.Kill(r.PID, syscall.SIGKILL)
		}
		i--
	}
	return fmt.Errorf("no such process in mesh.json: %s", role)
}

// HTTP is the base URL of edge i, without a path.
func (m *Mesh) HTTP(i int) string { return "http://" + m.Addr(i) }

// Addr is host:port of edge i's plain listener.
func (m *Mesh) Addr(i int) string { return local(m.http + i) }

// Gateway is the WebSocket address of edge i.
func (m *Mesh) Gateway(i int) string { return "ws://" + m.Addr(i) + "/gateway" }

// TLSAddr is host:port of edge i's TLS listener.
func (m *Mesh) TLSAddr(i int) string { return local(m.tls + i) }

// Admin is the base URL of the i-th admin page.
func (m *Mesh) Admin(i int) string { return "http://" + local(m.admin+i) }

// DataDir is what --data names.
func (m *Mesh) DataDir() string { return filepath.Join(m.dir, "data") }

// Trust is how a tool gets in where cores do: by a certificate that the mesh has made for it.
func (m *Mesh) Trust() (*tls.Config, error) {
	dir := filepath.Join(m.DataDir(), "tls", "mesh")
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "core-tool.pem"), filepath.Join(dir, "core-tool-key.pem"))
	if err != nil {
		return nil, err
	}
	// Hubs are known by their role, not by a host name; the tool is on the same machine.
	return &tls.Config{Certificates: []tls.Certificate{pair}, InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}, nil
}

// LogPath is the file with all output of all runs.
func (m *Mesh) LogPath() string { return filepath.Join(m.dir, "mesh.log") }

// LogTail is the last n lines of the log.
func (m *Mesh) LogTail(n int) string {
	b, err := os.ReadFile(m.LogPath())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}

// Trouble is what must be in no log: the first report of the race detector, panic or fatal error, with the lines after it.
func (m *Mesh) Trouble() string {
	b, err := os.ReadFile(m.LogPath())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(string(b), "\n")
	for i, line := range lines {
		if strings.Contains(line, "DATA RACE") || strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") ||
			strings.Contains(line, "handler panicked") {
			return strings.Join(lines[i:min(len(lines), i+60)], "\n")
		}
	}
	return ""
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", fmt.Sprint(port)) }
