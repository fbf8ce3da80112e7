//go:build unix

package auth

import (
	"os/exec"
	"syscall"
)

// apart gives a child a process group of its own: it can be made nice as a whole, and a ctrl-C at the terminal is not for it.
func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// beNice makes every thread of this process's group nice: Linux keeps the value per thread, and new threads have that of their maker.
func beNice() error {
	if syscall.Getpgrp() != syscall.Getpid() {
		return nil // started by hand: others are in this group
	}
	return syscall.Setpriority(syscall.PRIO_PGRP, 0, niceness)
}
