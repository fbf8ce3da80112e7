package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/starling-chat/starling/loadtest/mesh"
)

// A proof's lines replace those of its last run and nothing else, in the README that we have.
func TestFigures(t *testing.T) {
	root, err := mesh.Root()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	once, err := figures(string(b), "wire", "2026-01-02", []string{"start | ≤ 3s | 1s | ok"})
	if err != nil {
		t.Fatal(err)
	}
	twice, err := figures(once, "wire", "2026-01-03", []string{"lost | 0 | 0 | ok", "rate | 100/s | 1/s | NOT OK"})
	if err != nil {
		t.Fatal(err)
	}
	for want, n := range map[string]int{"Of 2026-01-03, ": 1, "| lost | 0 | 0 | ok |\n| rate | 100/s | 1/s | NOT OK |\n": 1, "2026-01-02": 0, "≤ 3s | 1s": 0,
		"# Starling": 1, "## Limits": 1, "<!-- end of `make proof-wire` -->": 1} {
		if got := strings.Count(twice, want); got != n {
			t.Errorf("%q is there %d times, want %d", want, got, n)
		}
	}
	if _, err := figures("no marks", "wire", "", nil); err == nil {
		t.Error("a text without marks was changed")
	}
}
