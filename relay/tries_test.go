package relay_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-chat/starling/relay"
)

// Alice asks each second a server that takes three and a half for each question: the answer to her first counts.
func TestTriesHearTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		tries := relay.NewTries(t.Context())
		defer tries.Close()
		begun := time.Now()
		for {
			asked++
			n := asked
			answer, err := tries.Next(time.Second, func(ctx context.Context) ([]byte, error) {
				select {
				case <-time.After(3500 * time.Millisecond):
					return fmt.Append(nil, n), nil
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			})
			if errors.Is(err, relay.ErrSilent) {
				continue
			}
			if err != nil || string(answer) != "1" || time.Since(begun) != 3500*time.Millisecond || asked != 4 {
				t.Errorf("got %q, %v after %v and %d tries, want the first answer after 3.5 s", answer, err, time.Since(begun), asked)
			}
			return
		}
	})
}

// What came between two tries is not asked for again; the failure of an earlier try is not that of the last.
func TestTriesBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := errors.New("lost")
		tries := relay.NewTries(t.Context())
		defer tries.Close()
		for _, ask := range []func(context.Context) ([]byte, error){
			func(context.Context) ([]byte, error) { time.Sleep(1500 * time.Millisecond); return nil, lost },
			func(context.Context) ([]byte, error) { time.Sleep(2 * time.Second); return []byte("here"), nil },
		} {
			if _, err := tries.Next(time.Second, ask); !errors.Is(err, relay.ErrSilent) {
				t.Errorf("got %v, want %v", err, relay.ErrSilent)
			}
		}
		time.Sleep(2 * time.Second)
		answer, err := tries.Next(time.Second, func(context.Context) ([]byte, error) {
			t.Error("asked again")
			return nil, nil
		})
		if string(answer) != "here" || err != nil {
			t.Errorf("got %q, %v, want what came meanwhile", answer, err)
		}
	})
}

// The last try's error is told at once; the context's end ends all.
func TestTriesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		tries := relay.NewTries(ctx)
		defer tries.Close()
		if _, err := tries.Next(time.Minute, func(context.Context) ([]byte, error) { return nil, relay.ErrNobody }); !errors.Is(err, relay.ErrNobody) {
			t.Errorf("got %v, want %v", err, relay.ErrNobody)
		}
		silence := func(ctx context.Context) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() }
		if _, err := tries.Next(time.Minute, silence); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the deadline", err)
		}
	})
}
