//go:build !linux

package dev

// slacken is for Linux.
func slacken() {}
