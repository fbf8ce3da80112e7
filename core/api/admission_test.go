package api

import (
	"testing"
	"time"
)

// The burst goes at once, those behind it at the rate, and who would wait for longer than clients do is refused without a turn.
func TestAdmission(t *testing.T) {
	a := newAdmission(10)
	for i := range 10 {
		if ms := later(a.begin, "begin"); ms != 0 {
			t.Fatalf("number %d of the burst waits %d ms", i, ms)
		}
	}
	last := uint32(0)
	for range 100 {
		ms := later(a.begin, "begin")
		if ms < last {
			t.Fatalf("wait %d ms after %d", ms, last)
		}
		last = ms
	}
	if last < 9000 || last > 10_000 {
		t.Errorf("the last that has a turn waits %d ms, want nearly %v", last, admitPatience)
	}
	for range 3 {
		if ms := later(a.begin, "begin"); time.Duration(ms)*time.Millisecond <= admitPatience {
			t.Errorf("beyond: waits %d ms, want to be refused", ms)
		}
	}
	if ms := later(a.move, "move"); ms != 0 {
		t.Errorf("who goes on waits %d ms for those who begin", ms)
	}
}
