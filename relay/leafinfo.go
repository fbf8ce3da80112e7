package relay

import (
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// A LeafInfo says where a leaf stands, for operators.
type LeafInfo struct {
	Name  string    `json:"name"`
	Since time.Time `json:"since"`      // it was started
	Heard float64   `json:"beat_age"`   // seconds since the last beat of a hub, or since the link was built anew
	Lost  int64     `json:"lost_links"` // since it was started: they ended, or were silent
	Server
}

// Info tells where the leaf stands. Any goroutine may ask.
func (l *Leaf) Info() LeafInfo {
	return LeafInfo{Name: l.server.Name(), Since: l.since, Heard: time.Since(time.Unix(0, l.heard.Load())).Seconds(), Lost: l.lost.Load(),
		Server: l.door.info()}
}

// measure notes the leaf's figures, and whether the link is still the one that it was; it returns the link that stands, 0 for none.
func (l *Leaf) measure(was uint64) (link uint64) {
	l.door.measure(l.door.info())
	if z, err := l.server.Leafz(nil); err == nil {
		link = linkOf(z)
	}
	lost := linksLost.WithLabelValues(l.server.Name())
	if was != 0 && link != was {
		lost.Inc()
		l.lost.Add(1)
	}
	return link
}

func linkOf(z *server.Leafz) uint64 {
	for _, link := range z.Leafs {
		return link.ID
	}
	return 0
}
