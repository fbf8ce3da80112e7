package bucket

import "testing"

func TestMeterForgets(t *testing.T) {
	var m meter
	if m.rate(1000) != 0 {
		t.Errorf("at first: got %v, want 0", m.rate(1000))
	}
	for second := int64(1000); second < 1030; second++ {
		for range 3 {
			m.add(second)
		}
	}
	for _, c := range []struct {
		second int64
		want   float64
	}{{1029, 3}, {1030, 3}, {1034, 1.8}, {1039, 0.3}, {1040, 0}, {2000, 0}} {
		if got := m.rate(c.second); got != c.want {
			t.Errorf("second %d: got %v, want %v", c.second, got, c.want)
		}
	}
	if m.total != 90 {
		t.Errorf("total: got %d, want 90", m.total)
	}
}
