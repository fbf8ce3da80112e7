package edge

// A ring is a session's recent past: references to shared events, oldest first, bounded by count and bytes.
type ring struct {
	events    []*event // circular: n from head on
	head, n   int
	bytes     int
	maxEvents int
	maxBytes  int
	lost      int64 // highest index that is not held any more
}

// push appends e and forgets the oldest where the bounds ask for it.
func (r *ring) push(e *event) {
	for r.n > 0 && (r.n == r.maxEvents || r.bytes+e.size() > r.maxBytes) {
		r.pop()
	}
	if e.size() > r.maxBytes {
		r.lost = e.index
		return
	}
	if r.n == len(r.events) {
		r.grow()
	}
	r.events[(r.head+r.n)%len(r.events)] = e
	r.n++
	r.bytes += e.size()
}

func (r *ring) pop() {
	e := r.events[r.head]
	r.events[r.head] = nil
	r.head = (r.head + 1) % len(r.events)
	r.n--
	r.bytes -= e.size()
	r.lost = e.index
}

// grow doubles the table: most sessions never fill theirs.
func (r *ring) grow() {
	wider := make([]*event, min(max(8, 2*len(r.events)), r.maxEvents))
	for i := range r.n {
		wider[i] = r.events[(r.head+i)%len(r.events)]
	}
	r.events, r.head = wider, 0
}

// after calls f for each event above index, in order. It reports false, and calls nothing, if some of them are lost.
func (r *ring) after(index int64, f func(*event)) bool {
	if index < r.lost {
		return false
	}
	for i := range r.n {
		if e := r.events[(r.head+i)%len(r.events)]; e.index > index {
			f(e)
		}
	}
	return true
}
