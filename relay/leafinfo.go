package relay

import (
	"slices"
	"time"
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
	now := l.look()
	return LeafInfo{Name: l.server.Name(), Since: l.since, Heard: time.Since(time.Unix(0, l.heard.Load())).Seconds(), Lost: l.lost.Load(), Server: now}
}

// look asks the embedded server, and counts the link that was there at the last look if it is gone. Whoever was shown a link sees its loss
// counted, since each look is one, the watch's and an operator's.
func (l *Leaf) look() Server {
	l.looking.Lock()
	defer l.looking.Unlock()
	now := l.door.info()
	lost := linksLost.WithLabelValues(l.server.Name())
	if l.link != 0 && !slices.ContainsFunc(now.Links, func(o Link) bool { return o.id == l.link }) {
		lost.Inc()
		l.lost.Add(1)
		l.link = 0
	}
	if l.link == 0 && len(now.Links) > 0 {
		l.link = now.Links[0].id
	}
	return now
}
