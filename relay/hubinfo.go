package relay

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// A HubInfo says where a hub stands, for operators.
type HubInfo struct {
	Name    string       `json:"name"`
	Since   time.Time    `json:"since"` // it was started
	Ready   string       `json:"ready"` // why it cannot serve the log; "" if it can
	Hubs    int          `json:"hubs"`  // of the region
	Sees    int          `json:"sees"`  // of them, itself included
	Bytes   int64        `json:"bytes"` // of the log, as far as this hub keeps it
	Limit   int64        `json:"limit"` // of them: the log's own, or what the disk has left
	Streams []StreamInfo `json:"streams"`
	Server
}

// A StreamInfo is a hub's part in a stream: of the log, of the records of ownership, or whatever else hubs keep.
type StreamInfo struct {
	Name     string        `json:"name"`
	Leader   string        `json:"leader"` // "" while there is none
	Messages uint64        `json:"messages"`
	Bytes    uint64        `json:"bytes"`
	Last     uint64        `json:"last"`   // sequence
	Oldest   time.Time     `json:"oldest"` // zero if it is empty
	Replicas []ReplicaInfo `json:"replicas"`
}

// A ReplicaInfo is another hub's copy of a stream. Lag is known to the leader alone.
type ReplicaInfo struct {
	Hub     string `json:"hub"`
	Current bool   `json:"current"` // has all, and was heard of late
	Offline bool   `json:"offline"`
	Lag     uint64 `json:"lag"` // entries
}

// A Server is what hubs and leaves have in common.
type Server struct {
	Clients       []Peer     `json:"clients"` // cores of a hub, edges of a leaf
	Links         []Link     `json:"links"`   // between hub and leaf
	Pending       int        `json:"pending"` // bytes that clients have not yet taken
	SlowConsumers int64      `json:"slow_consumers"`
	Certificate   *time.Time `json:"certificate"` // its end; null in plain text
}

// A Peer is somebody who is connected.
type Peer struct {
	Name    string  `json:"name"`
	RTT     float64 `json:"rtt_ms"`  // as of the last ping
	Pending int     `json:"pending"` // bytes
}

// A Link is one between a leaf and a hub, as one of the two sees it.
type Link struct {
	Name string  `json:"name"` // of the other
	RTT  float64 `json:"rtt_ms"`

	id uint64 // of the connection; one that is made anew has another
}

// info asks the embedded server; it is for operators, and takes locks that traffic takes too, for a moment.
func (d *doorman) info() Server {
	i := Server{Clients: []Peer{}, Links: []Link{}, SlowConsumers: d.server.NumSlowConsumers()}
	if d.cert != nil {
		pair, _ := d.cert.now()
		end := pair.Leaf.NotAfter
		i.Certificate = &end
	}
	if z, err := d.server.Connz(&server.ConnzOptions{Limit: 1 << 20}); err == nil {
		for _, c := range z.Conns {
			i.Pending += c.Pending
			if c.Kind == "Client" && c.Name != d.ownName {
				i.Clients = append(i.Clients, Peer{Name: c.Name, RTT: milliseconds(c.RTT), Pending: c.Pending})
			}
		}
	}
	if z, err := d.server.Leafz(nil); err == nil {
		for _, l := range z.Leafs {
			i.Links = append(i.Links, Link{Name: l.Name, RTT: milliseconds(l.RTT), id: l.ID})
		}
	}
	slices.SortFunc(i.Clients, func(a, b Peer) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(i.Links, func(a, b Link) int { return strings.Compare(a.Name, b.Name) })
	return i
}

// milliseconds reads what the server says of a round trip; 0 if nothing.
func milliseconds(s string) float64 {
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0
	}
	return float64(d) / float64(time.Millisecond)
}

// Info tells where the hub stands. Any goroutine may ask.
func (h *Hub) Info() HubInfo {
	i := HubInfo{Name: h.server.Name(), Since: h.since, Hubs: h.peers + 1, Sees: h.seen(), Streams: []StreamInfo{}, Server: h.door.info()}
	if err := h.Ready(); err != nil {
		i.Ready = err.Error()
	}
	z, err := h.server.Jsz(&server.JSzOptions{Streams: true, Config: true})
	if err != nil || z.Disabled {
		i.Ready = cmp.Or(i.Ready, "log: not there")
		return i
	}
	for _, a := range z.AccountDetails {
		for _, s := range a.Streams {
			info := StreamInfo{Name: s.Name, Leader: h.server.Name(), Messages: s.State.Msgs, Bytes: s.State.Bytes, Last: s.State.LastSeq,
				Replicas: []ReplicaInfo{}}
			if s.State.Msgs > 0 {
				info.Oldest = s.State.FirstTime
			}
			if c := s.Cluster; c != nil {
				info.Leader = c.Leader
				for _, r := range c.Replicas {
					info.Replicas = append(info.Replicas, ReplicaInfo{Hub: r.Name, Current: r.Current, Offline: r.Offline, Lag: r.Lag})
				}
			}
			slices.SortFunc(info.Replicas, func(a, b ReplicaInfo) int { return strings.Compare(a.Hub, b.Hub) })
			i.Streams = append(i.Streams, info)
		}
	}
	slices.SortFunc(i.Streams, func(a, b StreamInfo) int { return strings.Compare(a.Name, b.Name) })
	i.Bytes, i.Limit = logUse(z)
	return i
}

// logUse is what the hub keeps of the log, and what it may.
func logUse(z *server.JSInfo) (used, limit int64) {
	for _, a := range z.AccountDetails {
		for _, s := range a.Streams {
			if s.Config != nil && strings.HasPrefix(s.Name, streamPrefix) {
				used += int64(s.State.Bytes)
				limit += max(0, s.Config.MaxBytes)
			}
		}
	}
	if room := int64(z.Config.MaxStore) - int64(z.Store) + used; limit == 0 || room < limit {
		limit = room // all that the disk has left
	}
	return used, limit
}
