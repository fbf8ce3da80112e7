package edge

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	var p pace
	now := time.Unix(1000, 0)
	if p.mark(now); p.perSecond() != 0 {
		t.Errorf("before anything: got %v, want 0", p.perSecond())
	}
	for i, want := range []float64{30, 30, 30} {
		p.add(30)
		now = now.Add(time.Second)
		if p.mark(now); p.perSecond() != want {
			t.Errorf("second %d: got %v, want %v", i, p.perSecond(), want)
		}
	}
	for range 7 {
		now = now.Add(time.Second)
		p.mark(now)
	}
	if got := p.perSecond(); got != 9 {
		t.Errorf("90 in ten seconds: got %v, want 9", got)
	}
	for range 4 {
		now = now.Add(time.Second)
		p.mark(now)
	}
	if got := p.perSecond(); got != 0 {
		t.Errorf("long after: got %v, want 0", got)
	}
}
