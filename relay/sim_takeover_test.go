package relay_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest/sim"
)

// A take-over is refused since replicas showed it nothing of what there was, and then retention takes that: there is nothing any more that it has
// to have seen, so it goes on, with numbers above those of the owner before.
func TestTakeOverOfWhatAgedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bucket = 5
		w := sim.New(rand.New(rand.NewPCG(1, 1)))
		defer w.End()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		landed := func() {}
		// play has all that is under way land until f has ended, or too much time has passed.
		play := func(what string, f func() error) {
			t.Helper()
			done := make(chan error, 1)
			go func() { done <- f() }()
			for until := time.Now().Add(20 * time.Second); time.Now().Before(until); {
				if w.Land() {
					landed()
					continue
				}
				select {
				case err := <-done:
					if err != nil {
						t.Fatalf("%s: %v", what, err)
					}
					return
				default:
					w.Pass(10 * time.Millisecond)
				}
			}
			t.Fatalf("%s goes on for ever:\n%s", what, w.Trace(20))
		}
		var before, after relay.Position
		take := func(name string, entries int, at *relay.Position) {
			conn := w.Connect(name, false)
			var log *relay.Log
			play(name+" opens the log", func() (err error) {
				log, err = relay.OpenLog(ctx, conn.Bus, 1)
				return err
			})
			play(name+" takes over", func() error {
				own, err := log.TakeOver(ctx, bucket, relay.Position{}, time.Time{}, func(uint64, *pb.Entry) error { return nil })
				for i := 0; err == nil && i < entries; i++ {
					_, _, err = own.Append(ctx, []*pb.Event{{Type: fmt.Sprint("TEXT ", i)}}, 0)
				}
				if err == nil {
					*at = own.Position()
				}
				return err
			})
		}
		take("core0", 3, &before)
		w.Pass(time.Second)
		w.Chances.Stale = 100 // nothing has reached the replicas
		aged := false
		landed = func() {
			switch {
			case w.Counts.Conflicts == 0:
			case !aged && strings.Contains(w.Trace(1), `core1 < DIRECT.GET.EV_local_0 {"seq"`): // it has seen why it was refused
				w.Age(0, func(*sim.Stored) bool { return false })
				aged = true
			default:
				w.Chances.Stale = 0
			}
		}
		take("core1", 0, &after)
		if !aged {
			t.Fatal("the second take-over was never refused, so this shows nothing")
		}
		if after.Epoch <= before.Epoch || after.Counter <= before.Counter || after.Sequence <= before.Sequence {
			t.Errorf("it owns at %+v, the owner before at %+v", after, before)
		}
	})
}
