package loadtest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

// Whoever asks for a session that cannot be taken up again is told so on an open socket, at the edge that had it as well as at another one, and may
// IDENTIFY there. The session that was asked for lives on if it is somebody else's.
func TestNoSession(t *testing.T) {
	w := newTown(t, plain.get(t))
	bot, _ := w.bot("ivan", true)
	other, _ := w.bot("mallory", true)
	live := w.open(0, bot.Token, client.Options{}, nil)
	id := live.ready.SessionID
	forged := id[:len(id)-1] + map[bool]string{true: "B", false: "A"}[strings.HasSuffix(id, "A")]
	for edge := range 2 {
		for _, tt := range []struct {
			name, token, id string
			seq             int64
		}{
			{"of nobody", bot.Token, "nobody-knows-this-one", 1},
			{"empty", bot.Token, "", 0},
			{"with another signature", bot.Token, forged, live.S()},
			{"cut short", bot.Token, id[:len(id)/2], live.S()},
			{"of somebody else", other.Token, id, live.S()},
			{"negative", bot.Token, id, -1},
			{"far ahead", bot.Token, id, live.S() + 1_000_000},
			{"of one that moved, without a record", bot.Token, id, 1 << 30},
			{"the last number of all", bot.Token, id, 1<<31 - 1},
			{"beyond all numbers", bot.Token, id, 1 << 31},
		} {
			t.Run(fmt.Sprintf("%s, edge %d", tt.name, edge+1), func(t *testing.T) {
				if tt.token == bot.Token && tt.id == id {
					live = w.open(0, bot.Token, client.Options{}, nil) // that one is closed
					tt.id = live.ready.SessionID
				}
				g := w.dial(edge, client.Options{})
				must(t, g.Resume(tt.token, tt.id, tt.seq))
				e := w.await(g, 0, "op 9", op(proto.OpInvalidSession))
				if string(e.D) != "false" {
					t.Errorf("op 9 with %s, want false", e.D)
				}
				again := w.identify(g, tt.token, nil)
				m := take[proto.Message](t)(w.owner.Say(within(t, patience), w.general, tt.name))
				w.await(again.Gateway, 0, "message on the same socket", says(m))
				if tt.token == other.Token {
					w.await(live.Gateway, 0, "the session that was asked for", says(m))
				}
			})
		}
	}
}
