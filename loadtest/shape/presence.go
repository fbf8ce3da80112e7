package shape

import "fmt"

// A presence as others see it: invisible is never among what the server says.
var (
	presence = Obj{"user": Obj{"id": ID}.Shape(), "status": status, "activities": List(activity.Shape()), "client_status": clientStatus}
	activity = Obj{"name": Filled, "type": Int, "created_at": Int, "state?": Filled, "url?": Filled}
	told     = All(presence.Shape(), Absent("guild_id")) // inside GUILD_CREATE and chunks, where nobody is offline
)

func status(path string, v any, tell func(string)) {
	switch v {
	case "online", "idle", "dnd", "offline":
	default:
		tell(fmt.Sprintf("%s: got %s, want online, idle, dnd or offline", path, short(v)))
	}
}

func present(path string, v any, tell func(string)) {
	told(path, v, tell)
	if m, ok := v.(map[string]any); ok && m["status"] == "offline" {
		tell(fmt.Sprintf("%s: somebody offline is listed", path))
	}
}

// clientStatus names devices, and none that is offline.
func clientStatus(path string, v any, tell func(string)) {
	m, ok := v.(map[string]any)
	if !ok {
		tell(fmt.Sprintf("%s: got %s, want an object", path, short(v)))
	}
	for device, s := range m {
		switch device {
		case "desktop", "mobile", "web":
		default:
			tell(fmt.Sprintf("%s: a device %q", path, device))
		}
		if status(path+"."+device, s, tell); s == "offline" {
			tell(fmt.Sprintf("%s.%s: offline", path, device))
		}
	}
}
