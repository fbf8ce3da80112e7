package pebble_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/pebble"
	"github.com/starling-chat/starling/core/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, place string) core.History { return openAt(t, place) }

func openAt(t testing.TB, place string) core.History {
	s, err := pebble.Open(place)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestHistory(t *testing.T) { storetest.History(t, open) }

func TestKill(t *testing.T) { storetest.KillHistory(t, open) }
