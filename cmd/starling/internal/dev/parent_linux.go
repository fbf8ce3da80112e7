package dev

import "syscall"

// diesWithParent has the kernel kill a role process when starling dev ends, however it ends.
func diesWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
