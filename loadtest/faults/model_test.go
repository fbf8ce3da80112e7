package faults

import (
	"testing"
	"time"

	"github.com/starling-chat/starling/proto"
)

// The model takes what may be, and nothing else.
func TestModel(t *testing.T) {
	begun := time.Unix(1000, 0)
	// at gives an act from one second to another.
	at := func(from, to int, a act) act {
		a.call, a.answer = begun.Add(time.Duration(from)*time.Second), begun.Add(time.Duration(to)*time.Second)
		if a.id == 0 {
			a.id = 7
		}
		return a
	}
	sent := at(0, 1, act{deed: send, content: "a", got: "a"})
	for _, c := range []struct {
		name string
		acts []act
		ok   bool
	}{
		{"sent, edited, removed, gone", []act{sent, at(2, 3, act{deed: edit, content: "b", got: "b"}), at(4, 5, act{deed: touch, got: "b"}),
			at(6, 7, act{deed: remove}), at(8, 9, act{deed: touch, absent: true}), at(10, 11, act{deed: read, absent: true})}, true},
		{"an edit that is lost", []act{sent, at(2, 3, act{deed: edit, content: "b", got: "b"}), at(4, 5, act{deed: read, got: "a"})}, false},
		{"a removal that is lost", []act{sent, at(2, 3, act{deed: remove}), at(4, 5, act{deed: read, got: "a"})}, false},
		{"two edits at once, either last", []act{sent, at(2, 5, act{deed: edit, content: "b", got: "b"}), at(3, 4, act{deed: edit, content: "c", got: "c"}),
			at(6, 7, act{deed: read, got: "b"})}, true},
		{"removed by two", []act{sent, at(2, 3, act{deed: remove}), at(4, 5, act{deed: remove})}, false},
		{"a removal that was run twice", []act{sent, at(2, 3, act{deed: remove, absent: true})}, false},
		{"unknown, and done", []act{sent, at(2, 3, act{deed: edit, content: "b", unknown: true}), at(4, 5, act{deed: read, got: "b"})}, true},
		{"unknown, and not done", []act{sent, at(2, 3, act{deed: remove, unknown: true}), at(4, 5, act{deed: read, got: "a"})}, true},
		{"unknown, done, undone", []act{sent, at(2, 3, act{deed: remove, unknown: true}), at(4, 5, act{deed: touch, absent: true}),
			at(6, 7, act{deed: touch, got: "a"})}, false},
		{"done before it was asked", []act{sent, at(2, 3, act{deed: touch, got: "b"}), at(4, 5, act{deed: edit, content: "b", got: "b"})}, false},
		{"ids that fall", []act{sent, at(2, 3, act{deed: send, id: 6, content: "x", got: "x"})}, false},
		{"ids of sends at once", []act{at(0, 3, act{deed: send, content: "a", got: "a"}), at(1, 2, act{deed: send, id: proto.ID(6), content: "x", got: "x"})}, true},
	} {
		if err := linearizable(c.acts); (err == nil) != c.ok {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}
