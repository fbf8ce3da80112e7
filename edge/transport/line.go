package transport

import (
	"container/list"
	"net"
	"net/netip"
)

// A line is connections that wait. Sites have turns one after the other, however many connections each has waiting. It is its owner's.
type line struct {
	sites map[netip.Prefix]*list.Element // of turns
	turns *list.List                     // of *arrivals, none empty; the first is next
	n     int                            // connections
}

// arrivals are the connections of one site, first come first served.
type arrivals struct {
	site  netip.Prefix
	conns []net.Conn
}

func newLine() *line { return &line{sites: map[netip.Prefix]*list.Element{}, turns: list.New()} }

// of is how many of a site wait.
func (l *line) of(site netip.Prefix) int {
	if e := l.sites[site]; e != nil {
		return len(e.Value.(*arrivals).conns)
	}
	return 0
}

func (l *line) add(site netip.Prefix, c net.Conn) {
	e := l.sites[site]
	if e == nil {
		e = l.turns.PushBack(&arrivals{site: site})
		l.sites[site] = e
	}
	a := e.Value.(*arrivals)
	a.conns = append(a.conns, c)
	l.n++
}

// next takes the connection whose turn it is; nil if nobody waits.
func (l *line) next() net.Conn {
	e := l.turns.Front()
	if e == nil {
		return nil
	}
	l.n--
	a := e.Value.(*arrivals)
	c := a.conns[0]
	a.conns[0] = nil
	if a.conns = a.conns[1:]; len(a.conns) > 0 {
		l.turns.MoveToBack(e)
	} else {
		l.turns.Remove(e)
		delete(l.sites, a.site)
	}
	return c
}
