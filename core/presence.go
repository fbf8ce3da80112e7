package core

import (
	"bytes"
	"maps"
)

// Same tells whether others see no difference between two presences. When somebody was active last is not seen.
func (p Presence) Same(other Presence) bool {
	return p.User == other.User && p.Status == other.Status && bytes.Equal(p.Activities, other.Activities) && maps.Equal(p.Devices, other.Devices)
}
