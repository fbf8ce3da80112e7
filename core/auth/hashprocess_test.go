package auth

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// asHasher makes the test binary a program that computes hashes.
const asHasher = "STARLING_TEST_AS_HASHER"

func processHasher(t *testing.T, atOnce int) *Hasher {
	t.Setenv(asHasher, "1")
	h := NewHasher(HasherConfig{AtOnce: atOnce, Queue: 16, Command: []string{os.Args[0]}})
	t.Cleanup(h.Close)
	return h
}

func (p *hashProcesses) resting() []*hashProcess {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]*hashProcess(nil), p.idle...)
}

// Hashes made here are checked there and the other way round; one process serves them all, and every thread of it is nice.
func TestHashProcess(t *testing.T) {
	h, plain := processHasher(t, 1), NewHasher(HasherConfig{AtOnce: 1, Queue: 1})
	there, err := h.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	here, err := plain.Hash(t.Context(), "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	for _, phc := range []string{there, here} {
		for _, by := range []*Hasher{h, plain} {
			for password, want := range map[string]bool{"correct horse": true, "correct horsE": false, "": false, "\xff\x00": false} {
				if got, err := by.Verify(t.Context(), phc, password); err != nil || got != want {
					t.Errorf("Verify(%q) = %v, %v, want %v", password, got, err, want)
				}
			}
		}
	}
	idle := h.processes.resting()
	if len(idle) != 1 {
		t.Fatalf("%d processes, want one", len(idle))
	}
	if runtime.GOOS != "linux" {
		return
	}
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", idle[0].cmd.Process.Pid))
	if err != nil || len(threads) == 0 {
		t.Fatalf("threads: %v, %v", threads, err)
	}
	for _, f := range threads {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // a thread that ended
		}
		_, after, _ := strings.Cut(string(b), ") ")
		if got := strings.Fields(after)[16]; got != fmt.Sprint(niceness) {
			t.Errorf("%s: nice %s, want %d", f, got, niceness)
		}
	}
}

// A process that was killed is replaced; one that cannot be started leaves the work here; after Close none runs.
func TestHashProcessEnds(t *testing.T) {
	h := processHasher(t, 2)
	phc, err := h.Hash(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	first := h.processes.resting()[0]
	first.cmd.Process.Kill()
	if ok, err := h.Verify(t.Context(), phc, "x"); !ok || err != nil {
		t.Errorf("after a kill: %v, %v", ok, err)
	}
	second := h.processes.resting()
	if len(second) != 1 || second[0] == first {
		t.Fatalf("after a kill: %d processes, want a new one", len(second))
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if ok, err := h.Verify(t.Context(), phc, "x"); !ok || err != nil {
				t.Errorf("at once: %v, %v", ok, err)
			}
		})
	}
	wg.Wait()
	all := h.processes.resting()
	if len(all) > 2 {
		t.Errorf("%d processes for 2 slots", len(all))
	}
	h.Close()
	for _, p := range all {
		if p.cmd.ProcessState == nil {
			t.Errorf("process %d runs after Close", p.cmd.Process.Pid)
		}
	}
	if ok, err := h.Verify(t.Context(), phc, "x"); !ok || err != nil {
		t.Errorf("after Close: %v, %v", ok, err)
	}
	none := NewHasher(HasherConfig{AtOnce: 1, Queue: 1, Command: []string{filepath.Join(t.TempDir(), "none")}})
	if ok, err := none.Verify(t.Context(), phc, "x"); !ok || err != nil {
		t.Errorf("no such program: %v, %v", ok, err)
	}
}
