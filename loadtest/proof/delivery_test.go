package main

import (
	"io"
	"strings"
	"testing"
)

// A command prints on both of its outputs at once, as the simulators do that run side by side: nothing of it is lost.
func TestCommandKeepsAllThatIsPrinted(t *testing.T) {
	const lines = 2000
	out, failed, err := command(t.Context(), &report{out: io.Discard, progress: io.Discard}, "sh", "-c",
		`i=0; while [ $i -lt 2000 ]; do echo "out $i"; echo "err $i" >&2; i=$((i+1)); done`)
	if err != nil || failed {
		t.Fatal(failed, err)
	}
	if got := strings.Count(out, "out ") + strings.Count(out, "err "); got != 2*lines {
		t.Errorf("%d of %d lines are left", got, 2*lines)
	}
}
