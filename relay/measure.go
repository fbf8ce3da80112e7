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
		h.door.measure(h.door.info())
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
	var led float64
	var oldest time.Time
	replicaLag.Reset()
	for _, a := range z.AccountDetails {
		for _, s := range a.Streams {
			if !strings.HasPrefix(s.Name, streamPrefix) || s.Config == nil {
				continue
			}
			if s.State.Msgs > 0 && (oldest.IsZero() || s.State.FirstTime.Before(oldest)) {
				oldest = s.State.FirstTime
			}
			if s.Cluster == nil || s.Cluster.Leader == h.server.Name() {
				led++
				measureReplicas(s)
			}
		}
	}
	used, limit := logUse(z)
	logBytes.Set(float64(used))
	logLimit.Set(float64(limit))
	streamsLed.Set(led)
	age := 0.0
	if !oldest.IsZero() {
		age = time.Since(oldest).Seconds()
	}
	logAgeSeconds.Set(age)
	full = float64(used) > alarmAt*float64(limit)
	if full && !was {
		h.log.Warn("the log nears its limit: then its oldest entries go before their day is over", "bytes", used, "limit", limit)
	}
	return full
}

// measureReplicas notes how far the other hubs are behind a stream that this one leads.
func measureReplicas(s server.StreamDetail) {
	if s.Cluster == nil {
		return
	}
	for _, r := range s.Cluster.Replicas {
		replicaLag.WithLabelValues(s.Name, r.Name).Set(float64(r.Lag))
	}
}

// measure notes what the embedded server tells of those who are connected to it. One goroutine calls it.
func (d *doorman) measure(i Server) {
	name := d.server.Name()
	serverClients.WithLabelValues(name).Set(float64(len(i.Clients)))
	serverLinks.WithLabelValues(name).Set(float64(len(i.Links)))
	serverPending.WithLabelValues(name).Set(float64(i.Pending))
	slowest := 0.0
	for _, l := range i.Links {
		slowest = max(slowest, l.RTT)
	}
	linkSeconds.WithLabelValues(name).Set(slowest / 1000)
	slowConsumers.WithLabelValues(name).Add(float64(i.SlowConsumers - d.slow))
	d.slow = i.SlowConsumers
}
