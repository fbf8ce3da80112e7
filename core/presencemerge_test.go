package core

import (
	"testing"
	"time"

	"github.com/starling-chat/starling/proto"
)

// Alice has edges that say different things of her; TestMergeLooks has the rule.
func TestMergePresence(t *testing.T) {
	report := func(s proto.Status, gone bool) PresenceReport {
		return PresenceReport{Presence: Presence{User: 1, Status: s, LastActive: time.Unix(1, 0), Activities: []byte(`[{"name":"chess"}]`),
			Devices: map[string]proto.Status{"web": s}}, Gone: gone}
	}
	for _, c := range []struct {
		name    string
		reports []PresenceReport
		want    proto.Status
	}{
		{"no edge", nil, ""},
		{"one edge", []PresenceReport{report("dnd", false)}, "dnd"},
		{"two edges", []PresenceReport{report("idle", false), report("online", false)}, "online"},
		{"gone from one", []PresenceReport{report("idle", false), report("dnd", true)}, "idle"},
		{"gone from all", []PresenceReport{report("idle", true), report("dnd", true)}, ""},
		{"invisible at one", []PresenceReport{report("invisible", false), report("idle", false)}, "idle"},
		{"invisible at all", []PresenceReport{report("invisible", false), report("invisible", false)}, ""},
	} {
		got := MergePresence(1, c.reports)
		if got.User != 1 || got.Status != c.want {
			t.Errorf("%s: got %+v, want %q", c.name, got, c.want)
		}
		if c.want == "" && (got.Activities != nil || got.Devices != nil || !got.LastActive.IsZero()) {
			t.Errorf("%s: an offline user shows %+v", c.name, got)
		}
	}
}
