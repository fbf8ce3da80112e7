//go:build !linux

package dev

import "syscall"

// diesWithParent can promise nothing here: a killed starling dev leaves its role processes, an orderly stop does not.
func diesWithParent() *syscall.SysProcAttr { return nil }
