package relay

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	tailKept   = 30 * time.Second // hubs elect within nine; an edge closes its sessions when a record waits for ten
	tailWeight = 64 << 20         // bytes of all edges
)

// journalTails are the records that came to this core of late, by edge. While hubs elect who leads the stream of journals they store nothing, but
// pass on what edges write: an edge that dies meanwhile, and cannot send again, is remembered here. Any goroutine may call it.
type journalTails struct {
	mu     sync.Mutex
	edges  map[string][]tailRecord
	weight int
	swept  time.Time
}

type tailRecord struct {
	at   time.Time // by this machine's clock
	body []byte
}

// hear is called with each record that any edge writes.
func (t *journalTails) hear(subject string, body []byte) {
	edge, now := strings.TrimPrefix(subject, JournalSubject("")), time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.edges == nil {
		t.edges = make(map[string][]tailRecord)
	}
	t.edges[edge] = append(t.edges[edge], tailRecord{now, body})
	t.weight += len(body)
	if t.weight > tailWeight {
		t.dropLocked(edge, len(t.edges[edge])/2+1) // who writes most is remembered least
	}
	if now.Sub(t.swept) > time.Second {
		t.swept = now
		for name, list := range t.edges {
			n := 0
			for n < len(list) && now.Sub(list[n].at) > tailKept {
				n++
			}
			t.dropLocked(name, n)
		}
	}
}

// dropLocked forgets the first n of an edge.
func (t *journalTails) dropLocked(edge string, n int) {
	list := t.edges[edge]
	for i := range n {
		t.weight -= len(list[i].body)
		list[i].body = nil
	}
	if n == len(list) {
		delete(t.edges, edge)
		return
	}
	t.edges[edge] = list[n:]
}

// names are the edges that wrote of late.
func (t *journalTails) names() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Sorted(maps.Keys(t.edges))
}

// take gives what came of an edge since it was taken last.
func (t *journalTails) take(edge string) []tailRecord {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.edges[edge]
	for _, r := range list {
		t.weight -= len(r.body)
	}
	delete(t.edges, edge)
	return list
}
