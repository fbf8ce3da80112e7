package memory

import (
	"testing"

	"github.com/starling-chat/starling/core/storetest"
)

func TestPresences(t *testing.T) {
	p := NewPresences()
	storetest.Presences(t, p, p)
}
