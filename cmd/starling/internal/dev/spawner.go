package dev

import (
	"os/exec"
	"runtime"
)

// A spawner starts every process from one thread that lives as long as the mesh: Linux ends a child with the thread that started it, not
// with the process (PR_SET_PDEATHSIG).
type spawner struct{ calls chan func() }

// startSpawner is told whether there are to be more processes than processors.
func startSpawner(crowd bool) *spawner {
	s := &spawner{calls: make(chan func())}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if crowd {
			slacken()
		}
		for call := range s.calls {
			call()
		}
	}()
	return s
}

func (s *spawner) start(cmd *exec.Cmd) error {
	err := make(chan error, 1)
	s.calls <- func() { err <- cmd.Start() }
	return <-err
}

// stop ends the thread; every child must have ended.
func (s *spawner) stop() { close(s.calls) }
