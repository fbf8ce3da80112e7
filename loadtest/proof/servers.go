package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/starling-chat/starling/loadtest/mesh"
)

// servers are real stores of the proof's own, by deploy/servers.
type servers struct {
	script, dir   string
	postgres, cql string
	redis         string
}

// startServers starts those named: postgres, cassandra, redis.
func startServers(ctx context.Context, names ...string) (*servers, error) {
	root, err := mesh.Root()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "starling-proof-")
	if err != nil {
		return nil, err
	}
	s := &servers{script: filepath.Join(root, "deploy", "servers", "servers.sh"), dir: dir}
	if err := os.Chmod(dir, 0o755); err != nil { // the user postgres has to enter
		return nil, err
	}
	if _, err := s.run(ctx, "start", names...); err != nil {
		s.stop()
		return nil, err
	}
	env, err := s.run(ctx, "env", names...)
	if err != nil {
		s.stop()
		return nil, err
	}
	for line := range strings.Lines(env) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch name {
		case "STARLING_TEST_POSTGRES":
			s.postgres = value
		case "STARLING_TEST_CQL":
			s.cql = value
		case "STARLING_TEST_REDIS":
			s.redis = value
		}
	}
	return s, nil
}

// pid of a server.
func (s *servers) pid(name string) (pid int, err error) {
	b, err := os.ReadFile(filepath.Join(s.dir, name, "pid"))
	if err != nil {
		return 0, err
	}
	_, err = fmt.Sscan(string(b), &pid)
	return pid, err
}

// stop ends all of them and removes what they kept.
func (s *servers) stop() {
	s.run(context.Background(), "stop") // one that does not stop is killed by the script
	os.RemoveAll(s.dir)
}

func (s *servers) run(ctx context.Context, action string, names ...string) (string, error) {
	out, err := exec.CommandContext(ctx, s.script, append([]string{action, s.dir}, names...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("servers.sh %s: %w: %s", action, err, out)
	}
	return string(out), nil
}
