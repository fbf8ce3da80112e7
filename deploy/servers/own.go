package servers

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Launch starts a server that belongs to the caller, for programs that are no test. Close ends it.
func Launch(name string) (*Server, error) {
	if variables[name] == "" {
		return nil, fmt.Errorf("no server %q", name)
	}
	dir, err := os.MkdirTemp("", "starling-servers-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, name: name}
	if err := errors.Join(os.Chmod(dir, 0o755), s.start()); err != nil { // the user postgres has to enter
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Again starts the server where it was, with its data; it returns when the server answers. On one that runs it does nothing.
func (s *Server) Again() error { return s.start() }

// Signal sends a signal to the server's process.
func (s *Server) Signal(sig syscall.Signal) error {
	b, err := os.ReadFile(filepath.Join(s.dir, s.name, "pid"))
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
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
