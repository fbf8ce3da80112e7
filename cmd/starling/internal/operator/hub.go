package operator

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/starling-chat/starling/relay"
)

// Hubs is how the hubs are, and what they say of the streams.
type Hubs struct {
	Hubs    []Role[relay.HubInfo] `json:"hubs"`
	Streams []relay.StreamInfo    `json:"streams"` // each as its leader tells; as another does, where that one tells nothing
}

var hubKind = kind[relay.HubInfo]{
	role: "hub",
	head: "HUB\tSTATE\tSEES\tLEADS\tLOG\tLIMIT\tCORES\tLEAVES\tPENDING\tSLOW\tCERTIFICATE\tUP",
	name: func(h *relay.HubInfo) string { return h.Name },
	state: func(h *relay.HubInfo) (state, why string) {
		if h.Ready != "" {
			return "not ready", h.Ready
		}
		if h.Sees < h.Hubs {
			return "serves", fmt.Sprintf("sees %d of %d hubs", h.Sees, h.Hubs)
		}
		return "serves", certificateWhy(h.Certificate)
	},
	cells: func(h *relay.HubInfo) []any {
		leads := 0
		for _, s := range h.Streams {
			if s.Leader == h.Name {
				leads++
			}
		}
		return []any{fmt.Sprintf("%d/%d", h.Sees, h.Hubs), fmt.Sprintf("%d/%d", leads, len(h.Streams)), size(int(h.Bytes)), size(int(h.Limit)),
			len(h.Clients), names(h.Links), size(h.Pending), h.SlowConsumers, certificateEnd(h.Certificate), up(h.Since)}
	},
}

func (d *Desk) hubs(ctx context.Context) (any, *table, error) {
	roles, t, err := hubKind.look(ctx, d)
	if t == nil {
		return nil, nil, err
	}
	streams := leaderStreams(roles)
	t.more = &table{head: "STREAM\tLEADER\tMESSAGES\tBYTES\tLAST\tOLDEST\tREPLICAS"}
	behind, missing := uint64(0), map[string]string{}
	for _, r := range roles {
		if r.Info == nil {
			missing[r.Name] = r.State
		}
	}
	for _, s := range streams {
		oldest := "-"
		if !s.Oldest.IsZero() {
			oldest = ago(s.Oldest, time.Now())
		}
		t.more.add(s.Name, cmp.Or(s.Leader, "none"), s.Messages, size(int(s.Bytes)), s.Last, oldest, replicas(s.Replicas, missing))
		for _, r := range s.Replicas {
			behind = max(behind, r.Lag)
		}
	}
	if len(roles) > 0 {
		t.tell(fmt.Sprintf("%s, %s; the replica furthest behind lacks %d entries\nSLOW: connections cut off since they took nothing",
			plural(len(roles), "hub", "hubs"), plural(len(streams), "stream", "streams"), behind))
	}
	return Hubs{roles, streams}, t, err
}

// leaderStreams takes of each stream what its leader tells: of replicas it alone knows.
func leaderStreams(roles []Role[relay.HubInfo]) []relay.StreamInfo {
	best := map[string]relay.StreamInfo{}
	for _, r := range roles {
		if r.Info == nil {
			continue
		}
		for _, s := range r.Info.Streams {
			if _, known := best[s.Name]; !known || s.Leader == r.Info.Name {
				best[s.Name] = s
			}
		}
	}
	list := make([]relay.StreamInfo, 0, len(best))
	for _, s := range best {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b relay.StreamInfo) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// replicas says how the copies are; a hub that tells nothing itself is missing, whatever the leader still believes.
func replicas(list []relay.ReplicaInfo, missing map[string]string) string {
	var parts []string
	for _, r := range list {
		switch {
		case missing[r.Hub] != "":
			parts = append(parts, fmt.Sprintf("%s %s", r.Hub, missing[r.Hub]))
		case r.Offline:
			parts = append(parts, fmt.Sprintf("%s away, lacks %d", r.Hub, r.Lag))
		case !r.Current || r.Lag > 0:
			parts = append(parts, fmt.Sprintf("%s lacks %d", r.Hub, r.Lag))
		default:
			parts = append(parts, r.Hub)
		}
	}
	return cmp.Or(strings.Join(parts, ", "), "-")
}

func names(links []relay.Link) string {
	var list []string
	for _, l := range links {
		list = append(list, l.Name)
	}
	return cmp.Or(strings.Join(list, ","), "-")
}

// certificateSoon is when somebody should see to a certificate.
const certificateSoon = 14 * 24 * time.Hour

func certificateEnd(end *time.Time) string {
	if end == nil {
		return "plain text"
	}
	return end.UTC().Format(time.DateOnly)
}

func certificateWhy(end *time.Time) string {
	switch {
	case end == nil || time.Until(*end) > certificateSoon:
		return ""
	case time.Until(*end) <= 0:
		return "its certificate has expired: nobody new can connect"
	}
	return "its certificate expires on " + certificateEnd(end)
}
