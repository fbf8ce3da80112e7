package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// An elsewhere is this program again, by a hidden subcommand, which gives way to the mesh: who it stands for would be elsewhere.
type elsewhere struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

// startElsewhere runs a subcommand with its orders as a line of JSON; prepare says where its output goes.
func startElsewhere(ctx context.Context, name string, orders any, prepare func(*exec.Cmd) error) (*elsewhere, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	line, err := json.Marshal(orders)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, exe, name)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err := errors.Join(err, prepare(cmd)); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &elsewhere{cmd, in}
	if _, err := in.Write(append(line, '\n')); err != nil {
		return nil, errors.Join(err, p.kill())
	}
	return p, nil
}

func (p *elsewhere) kill() error {
	p.stdin.Close()
	p.cmd.Process.Kill()
	return p.cmd.Wait()
}
