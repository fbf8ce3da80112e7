package dev

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"slices"
	"sync"
)

// A meshFile tells tools who runs where. It exists from when the mesh is complete until it stops.
type meshFile struct {
	path string

	mu      sync.Mutex
	rows    []Row
	written bool
}

// newMeshFile removes what a killed mesh left.
func newMeshFile(path string) (*meshFile, error) {
	m := &meshFile{path: path}
	return m, m.remove()
}

// put sets the row of a name; once the file is written it is written again.
func (m *meshFile) put(r Row) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.IndexFunc(m.rows, func(o Row) bool { return o.Name == r.Name }); i >= 0 {
		m.rows[i] = r
	} else {
		m.rows = append(m.rows, r)
	}
	if !m.written {
		return nil
	}
	return m.writeLocked()
}

// write makes the file.
func (m *meshFile) write() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.written = true
	return m.writeLocked()
}

func (m *meshFile) writeLocked() error {
	text, err := json.MarshalIndent(m.rows, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(m.path, append(text, '\n'))
}

func (m *meshFile) remove() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.written = false
	if err := os.Remove(m.path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
