package chaos

import (
	"encoding/json"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

// A record is what one client got. The client's reader writes it; others read it when the client has ended, but for newest.
type record struct {
	home  map[proto.ID]place // of channels
	in    map[proto.ID]int   // index of guilds by id
	whole func()             // called when the client has all its guilds, or has resumed

	mu         sync.Mutex
	got        []delivery
	turns      []turn
	breaks     []gap
	identifies int
	resumes    int
	pending    map[proto.ID]bool // guilds that READY named and that have not come
	shown      map[proto.ID]bool // channels
	unshown    int               // messages in channels that the client was not shown
	newest     map[proto.ID]proto.ID
}

// A delivery is one MESSAGE_CREATE.
type delivery struct {
	id   proto.ID
	note int // index of the writer's note, -1 for a message of nobody
	at   time.Time
	place
}

// A turn is where the client's view of a guild begins or ends.
type turn struct {
	guild int
	kind  turnKind
	at    time.Time
	pos   int // deliveries before it
}

type turnKind int8

const (
	first turnKind = iota // guild of the first READY
	anew                  // guild of a later READY: what came between two sessions is missed
	join                  // guild that the session came into
	back                  // guild that was away and is there again
	leave
	away
	adrift // of windows: the client was not live at the end
)

// A gap is a time without a live socket.
type gap struct {
	from, to time.Time // to is zero while it lasts
	anew     bool      // a new session ended it
}

func newRecord(home map[proto.ID]place, in map[proto.ID]int, whole func()) *record {
	return &record{home: home, in: in, whole: whole, shown: map[proto.ID]bool{}, newest: map[proto.ID]proto.ID{}, pending: map[proto.ID]bool{}}
}

func (r *record) message(id, channel proto.ID, content string, at time.Time) {
	where, known := r.home[channel]
	d := delivery{id: id, note: noteIndex(content), at: at, place: where}
	if !known {
		d.note = -1
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.shown[channel] {
		r.unshown++
	}
	r.got = append(r.got, d)
	r.newest[channel] = max(r.newest[channel], id)
}

// noteIndex is the number in a message's content.
func noteIndex(content string) int {
	if len(content) < 2 || content[0] != 'm' {
		return -1
	}
	n, err := strconv.Atoi(content[1:])
	if err != nil {
		return -1
	}
	return n
}

func (r *record) broken(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.breaks); n > 0 && r.breaks[n-1].to.IsZero() {
		return // one gap, though it took several tries
	}
	r.breaks = append(r.breaks, gap{from: at})
}

// lost notes that the session is over.
func (r *record) lost(at time.Time) {
	r.broken(at)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.breaks[len(r.breaks)-1].anew = true
}

func (r *record) identified(f client.Event) error {
	var ready proto.Ready
	if err := f.Into(&ready); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.identifies++
	clear(r.shown)
	clear(r.pending)
	for _, g := range ready.Guilds {
		r.pending[g.ID] = true
	}
	return nil
}

func (r *record) resumed(at time.Time) {
	r.mu.Lock()
	r.resumes++
	r.wholeLocked(at)
	r.mu.Unlock()
	r.whole()
}

func (r *record) wholeLocked(at time.Time) {
	if n := len(r.breaks); n > 0 && r.breaks[n-1].to.IsZero() {
		r.breaks[n-1].to = at
	}
}

// turn takes in what changes which channels the client is shown.
func (r *record) turn(f client.Event) error {
	var d struct {
		ID          proto.ID `json:"id"`
		Unavailable bool     `json:"unavailable"`
		Channels    []struct {
			ID proto.ID `json:"id"`
		} `json:"channels"`
	}
	if err := json.Unmarshal(f.D, &d); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch f.T {
	case "CHANNEL_CREATE":
		r.shown[d.ID] = true
		return nil
	case "CHANNEL_DELETE":
		delete(r.shown, d.ID)
		return nil
	}
	i, ours := r.in[d.ID]
	if !ours {
		return nil
	}
	t := turn{guild: i, at: f.At, pos: len(r.got), kind: leave}
	if f.T == "GUILD_DELETE" {
		if d.Unavailable {
			t.kind = away
		}
		for id := range r.shown {
			if r.home[id].guild == i {
				delete(r.shown, id)
			}
		}
	} else {
		t.kind = r.cameLocked(d.ID, i)
		for _, ch := range d.Channels {
			r.shown[ch.ID] = true
		}
		if r.pending[d.ID] {
			delete(r.pending, d.ID)
			if len(r.pending) == 0 {
				r.wholeLocked(f.At)
				defer r.whole()
			}
		}
	}
	r.turns = append(r.turns, t)
	return nil
}

// cameLocked tells why there is a GUILD_CREATE.
func (r *record) cameLocked(id proto.ID, i int) turnKind {
	if r.pending[id] {
		if r.identifies == 1 {
			return first
		}
		return anew
	}
	for k := len(r.turns) - 1; k >= 0; k-- {
		if r.turns[k].guild == i {
			if r.turns[k].kind == away {
				return back
			}
			break
		}
	}
	return join
}

// heard tells whether the newest of a channel that the client got is at or beyond id.
func (r *record) heard(channel, id proto.ID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.newest[channel] >= id
}

// sees tells whether the client is shown a channel.
func (r *record) sees(channel proto.ID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.shown[channel]
}

// live counts what goes on, for who watches.
type live struct {
	delivered, resumes, identifies atomic.Int64

	mu    sync.Mutex
	there []bool // by client
	count int
}

func (l *live) ready(n int, there bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.there[n] != there {
		l.there[n] = there
		if there {
			l.count++
		} else {
			l.count--
		}
	}
}

func (l *live) now() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}
