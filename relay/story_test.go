package relay_test

import (
	"fmt"
	"testing"

	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
	"google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto/pb"
)

// Alice writes; Bob reads behind one leaf, Cathy behind another.
func TestEntriesCrossTheLeaf(t *testing.T) {
	mesh := relaytest.Start(t, 2)
	core := mesh.CoreBus(t)
	log := openLog(t, core)
	alice := takeOver(t, log, 7)
	bob, cathy := listen(t, mesh.EdgeBus(t, 0)), listen(t, mesh.EdgeBus(t, 1))
	bob.follows(t, 7)
	cathy.follows(t, 7)
	for i := range 200 {
		mustAppend(t, alice, fmt.Sprint(i))
	}
	bob.hears(t, 7, 200)
	cathy.hears(t, 7, 200)

	typing, err := proto.Marshal(&pb.Event{Type: "TYPING_START", Channel: 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := core.Publish(relay.EphemeralSubject("local", 7), typing); err != nil {
		t.Fatal(err)
	}
	relaytest.Until(t, "Bob sees Alice type", func() bool {
		bob.mu.Lock()
		defer bob.mu.Unlock()
		return bob.typing == 1
	})
	relaytest.Until(t, "the hub beats", func() bool { return !bob.LastBeat().IsZero() })
}
