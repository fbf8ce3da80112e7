package memory

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

// presenceMax bounds users with a presence: some 500 MB with nothing but their devices, if it comes to that.
const presenceMax = 1 << 20

// errFull is told where a user's report was left out. Others of the batch were taken.
var errFull = errors.New("memory: presence is full")

// Presences implements core.Presences.
type Presences struct {
	most int // users

	mu    sync.RWMutex
	users map[proto.ID]map[string]*list.Element // → edge → report
	due   *list.List                            // of *report, the one that ends first in front: all live equally long
}

type report struct {
	core.PresenceReport
	edge string
	ends time.Time
}

// NewPresences knows nobody: everybody is offline.
func NewPresences() *Presences {
	return &Presences{most: presenceMax, users: make(map[proto.ID]map[string]*list.Element), due: list.New()}
}

// Report implements core.Presences.
func (p *Presences) Report(_ context.Context, edge string, reports []core.PresenceReport, now time.Time) ([]core.PresenceChange, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var changes []core.PresenceChange
	var full error
	for _, r := range reports {
		at := p.users[r.User][edge]
		if r.Refresh && !r.Gone && at != nil {
			p.keepLocked(at, now)
			continue
		}
		if at == nil && !r.Gone && p.users[r.User] == nil && len(p.users) >= p.most {
			full = errFull
			continue
		}
		before := p.mergedLocked(r.User)
		switch {
		case r.Gone:
			p.removeLocked(r.User, edge)
		case at != nil:
			at.Value.(*report).PresenceReport = r
			p.keepLocked(at, now)
		default:
			if p.users[r.User] == nil {
				p.users[r.User] = make(map[string]*list.Element, 1)
			}
			p.users[r.User][edge] = p.due.PushBack(&report{r, edge, now.Add(core.PresenceTTL)})
		}
		if after := p.mergedLocked(r.User); !before.Same(after) {
			changes = append(changes, core.PresenceChange{Before: before, After: after})
		}
	}
	return changes, full
}

// keepLocked lets a report live on.
func (p *Presences) keepLocked(at *list.Element, now time.Time) {
	at.Value.(*report).ends = now.Add(core.PresenceTTL)
	p.due.MoveToBack(at)
}

func (p *Presences) removeLocked(user proto.ID, edge string) {
	edges := p.users[user]
	if at := edges[edge]; at != nil {
		p.due.Remove(at)
		delete(edges, edge)
	}
	if len(edges) == 0 {
		delete(p.users, user)
	}
}

func (p *Presences) mergedLocked(user proto.ID) core.Presence {
	edges := p.users[user]
	reports := make([]core.PresenceReport, 0, len(edges))
	for _, at := range edges {
		reports = append(reports, at.Value.(*report).PresenceReport)
	}
	return core.MergePresence(user, reports)
}

// Presences implements core.Presences.
func (p *Presences) Presences(_ context.Context, users []proto.ID) ([]core.Presence, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var found []core.Presence
	for _, user := range users {
		if m := p.mergedLocked(user); m.Status != "" {
			found = append(found, m)
		}
	}
	return found, nil
}

// Lapse implements core.Presences.
func (p *Presences) Lapse(_ context.Context, now time.Time, limit int) ([]core.PresenceChange, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var changes []core.PresenceChange
	for range limit {
		first := p.due.Front()
		if first == nil {
			break
		}
		r := first.Value.(*report)
		if r.ends.After(now) {
			break
		}
		before := p.mergedLocked(r.User)
		p.removeLocked(r.User, r.edge)
		if after := p.mergedLocked(r.User); !before.Same(after) {
			changes = append(changes, core.PresenceChange{Before: before, After: after})
		}
	}
	return changes, nil
}

// Edges implements core.Presences.
func (p *Presences) Edges(_ context.Context, user proto.ID, now time.Time) ([]string, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var edges []string
	for edge, at := range p.users[user] {
		if at.Value.(*report).ends.After(now) {
			edges = append(edges, edge)
		}
	}
	return edges, nil
}
