package inside

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/redis"
	"github.com/starling-chat/starling/proto"
)

const presenceBatch = 1000 // users in a report, at most what an edge may send

// Presences is presence on a Redis, of users that are dealt out to edges.
type Presences struct {
	store *redis.Store
	edges [][]core.PresenceReport
}

// OpenPresences makes users at some edges, every one of whom has been reported once.
func OpenPresences(ctx context.Context, url string, users, edges int) (*Presences, error) {
	store, err := redis.Open(ctx, url, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	p := &Presences{store: store, edges: make([][]core.PresenceReport, edges)}
	for i := range users {
		p.edges[i%edges] = append(p.edges[i%edges], core.PresenceReport{Presence: core.Presence{User: proto.ID(1_000_000_000+i*3) << 12,
			Status: proto.StatusOnline, LastActive: time.Now(), Devices: map[string]proto.Status{"desktop": proto.StatusOnline}}})
	}
	changes, err := p.Round(ctx)
	if err == nil && changes != users {
		err = fmt.Errorf("%d users came online, want %d", changes, users)
	}
	if err != nil {
		store.Close()
		return nil, err
	}
	for _, reports := range p.edges {
		for i := range reports {
			reports[i].Refresh = true
		}
	}
	return p, nil
}

// Round has every edge report all of its users, and tells how many look different since.
func (p *Presences) Round(ctx context.Context) (changes int, err error) {
	for e, reports := range p.edges {
		for from := 0; from < len(reports); from += presenceBatch {
			changed, err := p.store.Presences().Report(ctx, fmt.Sprintf("edge-%d", e), reports[from:min(from+presenceBatch, len(reports))], time.Now())
			if err != nil {
				return changes, err
			}
			changes += len(changed)
		}
	}
	return changes, nil
}

// Close forgets the connection, not what Redis holds.
func (p *Presences) Close() error { return p.store.Close() }
