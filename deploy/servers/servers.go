// Package servers gives tests the real Postgres, Redis and Cassandra that servers.sh beside it starts. It starts nothing that is there
// already: `make test` starts one of each for all packages and says where in the environment. It knows no client of them.
package servers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// NoSkip is the variable under which tests must not skip for lack of a server, but start one.
const NoSkip = "STARLING_NO_SKIP"

// startLimit is for the first start on a new machine, which installs packages.
const startLimit = 5 * time.Minute

// variables in which a server's address is looked for, by name.
var variables = map[string]string{"postgres": "STARLING_TEST_POSTGRES", "cassandra": "STARLING_TEST_CQL", "redis": "STARLING_TEST_REDIS"}

// Main runs tests with servers that the environment names, or, under STARLING_NO_SKIP, with some of their own, for TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(servers.Main(m, "cassandra")) }
func Main(m *testing.M, names ...string) int {
	if os.Getenv(NoSkip) == "" {
		return m.Run()
	}
	for _, name := range names {
		if os.Getenv(variables[name]) != "" {
			continue
		}
		stop, err := provide(name)
		defer stop()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

// provide starts a server and says where it is in the environment.
func provide(name string) (stop func(), err error) {
	dir, err := os.MkdirTemp("", "starling-servers-")
	if err != nil {
		return func() {}, err
	}
	s := Server{dir: dir, name: name}
	stop = func() { s.run("stop"); os.RemoveAll(dir) }
	if err := os.Chmod(dir, 0o755); err != nil { // the user postgres has to enter
		return stop, err
	}
	if err := s.start(); err != nil {
		return stop, err
	}
	return stop, os.Setenv(variables[name], s.Address)
}

// Address of a shared server; the test is skipped where there is none.
func Address(t testing.TB, name string) string {
	t.Helper()
	address := os.Getenv(variables[name])
	if address == "" {
		t.Skipf("SKIPPED: no %s: set %s, or %s=1 to have one started", name, variables[name], NoSkip)
	}
	return address
}

// A Server belongs to one test, which may freeze, kill and restart it.
type Server struct {
	Address string // as in the environment
	dir     string
	name    string
	env     []string
}

// Keeps has a Cassandra that is alone keep what it acknowledged when it is killed: see Launch.
const Keeps = "CASSANDRA_SYNC=group"

// Soon has a Cassandra start with less of a processor, which others share, and be slower when it is warm: see Launch.
const Soon = "CASSANDRA_JAVA=-XX:TieredStopAtLevel=1"

// Slack has servers woken up to half a millisecond late, which leaves more of few processors to others: see Launch.
const Slack = "SERVERS_SLACK=500000"

// Start starts a server of the test's own, where servers are to be had at all; it is stopped with the test.
func Start(t testing.TB, name string) *Server {
	t.Helper()
	Address(t, name)
	dir, err := os.MkdirTemp("", "starling-servers-") // not t.TempDir: the user postgres has to enter
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := &Server{dir: dir, name: name}
	t.Cleanup(func() {
		s.Stop(t)
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	s.Start(t)
	return s
}

// Start starts the server again where it was, with its data; returns when it answers.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

// Stop stops the server.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if _, err := s.run("stop"); err != nil {
		t.Error(err)
	}
}

// PID of the server's process, for signals.
func (s *Server) PID(t testing.TB) int {
	t.Helper()
	pid, err := s.pid()
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func (s *Server) pid() (int, error) {
	b, err := os.ReadFile(filepath.Join(s.dir, s.name, "pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}

func (s *Server) start() error {
	if _, err := s.run("start"); err != nil {
		return err
	}
	out, err := s.run("env")
	if err != nil {
		return err
	}
	_, s.Address, _ = strings.Cut(strings.TrimSpace(out), "=")
	return nil
}

func (s *Server) run(action string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	_, here, _, _ := runtime.Caller(0)
	cmd := exec.CommandContext(ctx, filepath.Join(filepath.Dir(here), "servers.sh"), action, s.dir, s.name)
	cmd.Env = append(os.Environ(), s.env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("servers.sh %s %s: %w: %s", action, s.name, err, out)
	}
	return string(out), nil
}
