//go:build !unix

package auth

import "os/exec"

func apart(*exec.Cmd) {}

func beNice() error { return nil }
