package dev

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lockFolder makes the data folder and keeps other meshes out of it until the process ends or the file is closed.
func lockFolder(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("data: %s is in use by another starling dev: stop it or choose another folder with --data", dir)
	}
	return f, nil
}

// writeFile replaces path in one step: a reader, or a kill, meets the old text or the new one.
func writeFile(path string, text []byte) error {
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
