package servers

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// Launch starts a server that belongs to the caller, for programs that are no test. Close ends it. env is what servers.sh --help names, as
// KEY=value.
func Launch(name string, env ...string) (*Server, error) {
	if variables[name] == "" {
		return nil, fmt.Errorf("no server %q", name)
	}
	dir, err := os.MkdirTemp("", "starling-servers-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, name: name, env: env}
	if err := errors.Join(os.Chmod(dir, 0o755), s.start()); err != nil { // the user postgres has to enter
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Again starts the server where it was, with its data; it returns when the server answers. On one that runs it does nothing.
func (s *Server) Again() error { return s.start() }

// Signal sends a signal to the server's process.
func (s *Server) Signal(sig syscall.Signal) error {
	pid, err := s.pid()
	if err != nil {
		return err
	}
	return syscall.Kill(pid, sig)
}

// Close stops the server and removes its data.
func (s *Server) Close() error {
	_, err := s.run("stop")
	return errors.Join(err, os.RemoveAll(s.dir))
}

// killLimit is how long a process may take to be gone: the kernel frees a gigabyte of it first.
const killLimit = 20 * time.Second

// Kill ends the server as kill -9 does, and returns when nothing is left of it that its successor could stumble over.
func (s *Server) Kill() error {
	pid, err := s.pid()
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("%s: kill: %w", s.name, err)
	}
	for begun := time.Now(); !gone(pid); time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > killLimit {
			return fmt.Errorf("%s: process %d is there %v after it was killed", s.name, pid, killLimit)
		}
	}
	return nil
}

// gone tells whether a process has given everything back: it is not there, or waits for its parent with no thread left but the first.
func gone(pid int) bool {
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return len(threads) <= 1 && strings.HasPrefix(state, "Z")
}
