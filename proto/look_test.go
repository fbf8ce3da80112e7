package proto

import (
	"maps"
	"slices"
	"testing"
	"time"
)

// A user's sessions come to one look, in whatever order they are told of.
func TestMergeLooks(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	look := func(s Status, active int, activities, device string) Look {
		l := Look{Status: s, LastActive: at(active), Activities: []byte(activities)}
		if device != "" {
			l.Devices = map[string]Status{device: s}
		}
		return l
	}
	cases := []struct {
		name       string
		looks      []Look
		status     Status
		activities string
		devices    map[string]Status
	}{
		{"nobody", nil, "", "", nil},
		{"one", []Look{look("idle", 1, "[1]", "web")}, "idle", "[1]", map[string]Status{"web": "idle"}},
		{"offline is no session", []Look{look("offline", 5, "[1]", "web"), look("", 6, "", "")}, "", "", nil},
		{"active in one place is not idle", []Look{look("idle", 9, "[1]", "web"), look("online", 1, "[2]", "mobile")}, "online", "[2]",
			map[string]Status{"web": "idle", "mobile": "online"}},
		{"do not disturb means all", []Look{look("online", 9, "[1]", "web"), look("dnd", 1, "[2]", "desktop"), look("idle", 3, "", "mobile")}, "dnd", "[2]",
			map[string]Status{"web": "online", "desktop": "dnd", "mobile": "idle"}},
		{"the last active of equals", []Look{look("online", 1, "[1]", "web"), look("online", 2, "[2]", "web")}, "online", "[2]", map[string]Status{"web": "online"}},
		{"one device twice", []Look{look("idle", 2, "", "web"), look("online", 1, "", "web")}, "online", "", map[string]Status{"web": "online"}},
		{"invisible hides itself", []Look{look("invisible", 9, "[1]", "web"), look("idle", 1, "[2]", "mobile")}, "idle", "[2]", map[string]Status{"mobile": "idle"}},
		{"only invisible", []Look{look("invisible", 9, "[1]", "web"), look("invisible", 8, "[2]", "mobile")}, "invisible", "", nil},
		{"invisible over nothing", []Look{look("offline", 9, "", ""), look("invisible", 1, "[1]", "web")}, "invisible", "", nil},
	}
	for _, c := range cases {
		for range 2 {
			got := MergeLooks(c.looks)
			if got.Status != c.status || string(got.Activities) != c.activities || !maps.Equal(got.Devices, c.devices) {
				t.Errorf("%s: got %s %s %v, want %s %s %v", c.name, got.Status, got.Activities, got.Devices, c.status, c.activities, c.devices)
			}
			slices.Reverse(c.looks)
		}
	}
}
