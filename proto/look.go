package proto

import "time"

// A Look is how a user looks through one session, or through several that were merged. The zero value is somebody without a session.
type Look struct {
	Status     Status // of a user's own sessions invisible is possible too
	LastActive time.Time
	Activities []byte            // JSON list; nil is the empty one
	Devices    map[string]Status // client_status; of sessions that others may see
}

// Visible tells whether others may see a status: invisible is offline to them.
func (s Status) Visible() bool { return s == StatusOnline || s == StatusIdle || s == StatusDND }

// rank orders the statuses of a user's sessions: who asks not to be disturbed means all of them; who is active in one is not idle; and one that is
// invisible hides itself, not the others.
func (s Status) rank() int {
	switch s {
	case StatusDND:
		return 4
	case StatusOnline:
		return 3
	case StatusIdle:
		return 2
	case StatusInvisible:
		return 1
	}
	return 0
}

// MergeLooks makes one look of several, whatever their order: the highest status, and of the looks that have it the one that was active last, decides
// status and activities. Devices have the highest status that any look gives them. What is invisible adds nothing to what others see.
func MergeLooks(looks []Look) Look {
	var best Look
	for _, l := range looks {
		if l.Status.rank() > 0 && l.beats(best) {
			best = l
		}
	}
	if !best.Status.Visible() {
		return Look{Status: best.Status, LastActive: best.LastActive}
	}
	best.Devices = map[string]Status{}
	for _, l := range looks {
		if !l.Status.Visible() {
			continue
		}
		for device, s := range l.Devices {
			if s.Visible() && s.rank() > best.Devices[device].rank() {
				best.Devices[device] = s
			}
		}
	}
	return best
}

func (l Look) beats(other Look) bool {
	if a, b := l.Status.rank(), other.Status.rank(); a != b {
		return a > b
	}
	if !l.LastActive.Equal(other.LastActive) {
		return l.LastActive.After(other.LastActive)
	}
	return string(l.Activities) > string(other.Activities) // any order will do, as long as it is one
}
