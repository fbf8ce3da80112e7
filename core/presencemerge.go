package core

import "github.com/starling-chat/starling/proto"

// MergePresence makes of what the edges reported of a user how the user looks to others; offline if no edge has a session that others may see.
func MergePresence(user proto.ID, reports []PresenceReport) Presence {
	looks := make([]proto.Look, 0, len(reports))
	for _, r := range reports {
		if !r.Gone {
			looks = append(looks, proto.Look{Status: r.Status, LastActive: r.LastActive, Activities: r.Activities, Devices: r.Devices})
		}
	}
	l := proto.MergeLooks(looks)
	if !l.Status.Visible() {
		return Presence{User: user}
	}
	return Presence{User: user, Status: l.Status, LastActive: l.LastActive, Activities: l.Activities, Devices: l.Devices}
}
