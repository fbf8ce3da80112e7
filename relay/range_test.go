package relay_test

import (
	"fmt"
	"testing"

	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay/relaytest"
)

// A part of a bucket's log is read from behind a leaf: all of it, in order, nothing beside it, whatever else the stream holds; a bucket begins
// where OnStart says.
func TestRange(t *testing.T) {
	mesh := relaytest.Start(t, 1)
	log := openLog(t, mesh.CoreBus(t))
	alice, other := takeOver(t, log, 5), takeOver(t, log, 6)
	bob := listen(t, mesh.EdgeBus(t, 0))
	bob.follows(t, 5)
	const n = 600
	var sequences []uint64
	for i := range n {
		mustAppend(t, alice, fmt.Sprint(i))
		sequences = append(sequences, alice.Position().Sequence)
		mustAppend(t, other, "noise")
	}
	bob.hears(t, 5, n)
	read := func(part [3]int) {
		t.Helper()
		next := part[0] + 1
		err := bob.Range(soon(t), 5, sequences[part[0]], sequences[part[1]]+uint64(part[2]), func(seq uint64, e *pb.Entry) error {
			if seq != sequences[next] || string(e.Events[0].Body) != fmt.Sprint(next) {
				return fmt.Errorf("got %d with %s, want number %d", seq, e.Events[0].Body, next)
			}
			next++
			return nil
		})
		if err != nil || next != part[1]+1 {
			t.Errorf("%v: read up to %d: %v", part, next-1, err)
		}
	}
	// The end is an entry, or one of another bucket behind it.
	for _, part := range [][3]int{{0, n - 1, 0}, {17, 400, 0}, {n - 2, n - 1, 0}, {3, 3, 0}, {0, n - 2, 1}, {17, 400, 1}, {3, 3, 1}} {
		read(part)
	}
	mesh.StopHub() // what was applied a moment ago, or somebody asked for already, nobody asks the log for
	for _, part := range [][3]int{{0, n - 1, 0}, {17, 400, 1}, {n - 20, n - 1, 0}, {n - 100, n - 2, 1}, {n - 5, n - 5, 1}, {n - 1, n - 1, 0}} {
		read(part)
	}
}
