package relay

import (
	"context"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	measureEvery = 3 * time.Second
	// alarmAt is the part of its room that the log may fill before somebody should act.
	alarmAt = 0.8
)

// measure keeps the hub's figures up to date until ctx ends.
func (h *Hub) measure(ctx context.Context) {
	defer h.done.Done()
	tick := time.NewTicker(measureEvery)
	defer tick.Stop()
	for full := false; ; {
		full = h.measureLog(full)
		hubsSeen.Set(float64(h.seen()))
		ready := 0.0
		if h.Ready() == nil {
			ready = 1
		}
		hubReady.Set(ready)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// measureLog looks at what this hub keeps of the log, and warns once when that comes near its limit.
func (h *Hub) measureLog(was bool) (full bool) {
	z, err := h.server.Jsz(&server.JSzOptions{Streams: true, Config: true})
	if err != nil || z.Disabled {
		return was
	}
	var used, limit, led float64
	var oldest time.Time
	for _, a := range z.AccountDetails {
		for _, s := range a.Streams {
			if !strings.HasPrefix(s.Name, "EV_") || s.Config == nil {
				continue
			}
			used += float64(s.State.Bytes)
			limit += max(0, float64(s.Config.MaxBytes))
			if s.State.Msgs > 0 && (oldest.IsZero() || s.State.FirstTime.Before(oldest)) {
				oldest = s.State.FirstTime
			}
			if s.Cluster == nil || s.Cluster.Leader == h.server.Name() {
				led++
			}
		}
	}
	if room := float64(z.Config.MaxStore) - float64(z.Store) + used; limit == 0 || room < limit {
		limit = room // all that the disk has left
	}
	logBytes.Set(used)
	logLimit.Set(limit)
	streamsLed.Set(led)
	age := 0.0
	if !oldest.IsZero() {
		age = time.Since(oldest).Seconds()
	}
	logAgeSeconds.Set(age)
	full = used > alarmAt*limit
	if full && !was {
		h.log.Warn("the log nears its limit: then its oldest entries go before their day is over", "bytes", int64(used), "limit", int64(limit))
	}
	return full
}
