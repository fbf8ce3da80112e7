package edge

import "testing"

func held(r *ring, after int64) (list []int64, ok bool) {
	ok = r.after(after, func(e *event) { list = append(list, e.index) })
	return list, ok
}

func TestRingAtCapacityAndOnePast(t *testing.T) {
	r := ring{maxEvents: 100, maxBytes: 1 << 20, lost: 10}
	for i := range int64(100) {
		r.push(&event{index: 11 + 3*i})
	}
	if list, ok := held(&r, 10); !ok || len(list) != 100 || list[0] != 11 || list[99] != 308 {
		t.Fatalf("at capacity: ok %v, %v", ok, list)
	}
	if _, ok := held(&r, 9); ok {
		t.Fatal("what came before the session counts as held")
	}
	r.push(&event{index: 400})
	if _, ok := held(&r, 10); ok {
		t.Fatal("one past capacity: index 11 is lost, and nobody says so")
	}
	if list, ok := held(&r, 11); !ok || len(list) != 100 || list[99] != 400 {
		t.Fatalf("one past capacity: ok %v, %v", ok, list)
	}
	if list, ok := held(&r, 12); !ok || len(list) != 100 {
		t.Fatalf("from between two indices: ok %v, %d", ok, len(list))
	}
	if list, ok := held(&r, 400); !ok || len(list) != 0 {
		t.Fatalf("from the last: ok %v, %v", ok, list)
	}
}

func TestRingBytes(t *testing.T) {
	e := func(i int64) *event { return &event{index: i, body: make([]byte, 936)} } // 1000 with what an event costs
	r := ring{maxEvents: 100, maxBytes: 10_000}
	for i := range int64(10) {
		r.push(e(i + 1))
	}
	if list, ok := held(&r, 0); !ok || len(list) != 10 {
		t.Fatalf("at capacity: ok %v, %v", ok, list)
	}
	r.push(e(11))
	if list, ok := held(&r, 1); !ok || len(list) != 10 || r.bytes != 10_000 {
		t.Fatalf("one past: ok %v, %v, %d bytes", ok, list, r.bytes)
	}
	r.push(&event{index: 12, body: make([]byte, 20_000)})
	if _, ok := held(&r, 11); ok || r.n != 0 || r.bytes != 0 {
		t.Fatalf("an event larger than the ring: ok %v, %d events, %d bytes", ok, r.n, r.bytes)
	}
}
