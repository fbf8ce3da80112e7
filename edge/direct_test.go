package edge_test

import (
	"testing"

	"github.com/starling-chat/starling/edge/edgetest"
	"github.com/starling-chat/starling/proto"
)

func TestDirect(t *testing.T) {
	w := newWorld(t, nil)
	d := w.core.AddDirect(12, w.alice, w.bob)
	w.core.Tell(w.core.Do(d, edgetest.Turn{Open: w.bob}, edgetest.Turn{Say: "before"})...)

	c := w.dial(t)
	ready := c.Identify(w.bob.Token, map[string]any{"intents": proto.IntentGuilds | proto.IntentDirectMessages})
	if len(ready.PrivateChannels) != 1 {
		t.Fatalf("READY lists %s", ready.PrivateChannels)
	}
	c.Expect(proto.EventGuildCreate, nil)
	w.core.Do(d, edgetest.Turn{Say: "one"})
	expectMessage(t, c, "one") // with its content, though the intent is not there

	// Closed and back within one entry, while the user's bucket tells of it late, and of a closing again.
	owed := w.core.Do(d, edgetest.Turn{Say: "two"}, edgetest.Turn{Close: w.bob}, edgetest.Turn{Open: w.bob}, edgetest.Turn{Say: "three"},
		edgetest.Turn{Close: w.bob}, edgetest.Turn{Open: w.bob}, edgetest.Turn{Say: "four"})
	expectMessage(t, c, "two")
	c.Expect(proto.EventChannelDelete, nil)
	w.core.Tell(owed...)
	c.Expect(proto.EventChannelCreate, nil)
	expectMessage(t, c, "three")
	expectMessage(t, c, "four")

	// The user's bucket first: the channel's log is still to come.
	late := w.core.Do(d, edgetest.Turn{Close: w.bob})
	c.Expect(proto.EventChannelDelete, nil)
	w.core.Tell(late...)
	last := w.core.Do(d, edgetest.Turn{Open: w.bob}, edgetest.Turn{Say: "five"})
	w.core.Tell(last...)
	c.Expect(proto.EventChannelCreate, nil)
	expectMessage(t, c, "five")
	w.core.Do(d, edgetest.Turn{Say: "six"})
	expectMessage(t, c, "six")
}

func TestDirectsComeAfterReadyWhereCoresAreSlow(t *testing.T) {
	w := newWorld(t, nil)
	d := w.core.AddDirect(12, w.alice, w.bob)
	c, _ := w.login(t, w.bob, nil)
	owed := w.core.Do(d, edgetest.Turn{Open: w.bob}, edgetest.Turn{Say: "one"})
	w.core.Down(true)
	w.core.Tell(owed...)
	w.core.Do(d, edgetest.Turn{Say: "two"})
	w.core.Down(false)
	c.Expect(proto.EventChannelCreate, nil)
	expectMessage(t, c, "one")
	expectMessage(t, c, "two")
	w.core.Do(d, edgetest.Turn{Say: "three"})
	expectMessage(t, c, "three")
}
