package chaos

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/starling-chat/starling/proto"
)

// A Tally is what became of everything.
type Tally struct {
	Written      int
	Acknowledged int
	Unanswered   int // given up; they may be in history, or not
	Repeated     int // messages without a nonce that their sender repeated, and that are there more than once

	HistoryLost    int // acknowledged, and not in history
	HistoryDoubled int // with a nonce, and there more than once
	HistoryStrange int // nobody wrote it there

	Due        int // deliveries that clients were entitled to
	Delivered  int // of these
	Lost       int
	MissedAnew int // not delivered because their client identified anew
	Adrift     int // not delivered because their client was not live at the end
	Early      int // said between a join and its GUILD_CREATE: history for who joins
	Doubled    int
	Disordered int
	Leaked     int
	Undecided  int // messages whose moment nobody witnessed

	Sockets    int // that ended under a client
	Resumed    int
	Identified int // anew

	Examples []string // the first of each kind that is counted above and wrong
	Problems []string // all else that is wrong
	more     int      // of it
	examples map[string]int
}

const (
	maxProblems = 40
	maxExamples = 8 // of each kind
)

// example tells of something wrong that is counted, the first times.
func (t *Tally) example(kind, format string, args ...any) {
	if t.examples == nil {
		t.examples = map[string]int{}
	}
	if t.examples[kind]++; t.examples[kind] <= maxExamples {
		t.Examples = append(t.Examples, kind+": "+fmt.Sprintf(format, args...))
	}
}

func (t *Tally) tell(format string, args ...any) {
	if len(t.Problems) == maxProblems {
		t.more++
		return
	}
	t.Problems = append(t.Problems, fmt.Sprintf(format, args...))
}

// Good tells whether the promise was kept; resumed asks for it without any new IDENTIFY. A run of which too much could not be decided shows nothing.
func (t *Tally) Good(resumed bool) bool {
	wrong := t.HistoryLost + t.HistoryDoubled + t.HistoryStrange + t.Lost + t.Adrift + t.Doubled + t.Disordered + t.Leaked + len(t.Problems)
	return wrong == 0 && !t.Blind() && (!resumed || t.MissedAnew+t.Identified == 0)
}

// Blind tells whether more than a hundredth of all deliveries could not be decided.
func (t *Tally) Blind() bool { return 100*t.Undecided > t.Due+t.Undecided }

// said is one message of history.
type said struct {
	id   proto.ID
	room int
	note *note
}

// A court has all evidence, when nothing runs any more.
type court struct {
	Tally
	town  *town
	notes []*note
	past  [][]said           // by guild, in the order of ids, which is that of the log
	known []map[proto.ID]int // by guild: places in past
}

// history takes in the pages of every channel, oldest first, and compares them with what was written.
func (c *court) history(past map[proto.ID][]proto.Message) {
	c.past = make([][]said, len(c.town.guilds))
	c.known = make([]map[proto.ID]int, len(c.town.guilds))
	there := make(map[*note][]proto.ID, len(c.notes))
	for i, g := range c.town.guilds {
		for room, channel := range g.channels {
			for k, m := range past[channel] {
				if k > 0 && m.ID <= past[channel][k-1].ID {
					c.tell("history of %s: %s comes after %s", channel, m.ID, past[channel][k-1].ID)
				}
				n := noteIndex(m.Content)
				if n < 0 || n >= len(c.notes) || c.notes[n].place != (place{i, room}) {
					c.HistoryStrange++
					c.example("strange", "%s, %.40q, in the history of %s, where nobody wrote it", m.ID, m.Content, channel)
					continue
				}
				c.past[i] = append(c.past[i], said{m.ID, room, c.notes[n]})
				there[c.notes[n]] = append(there[c.notes[n]], m.ID)
			}
		}
		slices.SortFunc(c.past[i], func(a, b said) int { return cmp.Compare(a.id, b.id) })
		c.known[i] = make(map[proto.ID]int, len(c.past[i]))
		for k, m := range c.past[i] {
			c.known[i][m.id] = k
		}
	}
	for _, n := range c.notes {
		c.Written++
		ids := there[n]
		switch {
		case n.id == 0:
			c.Unanswered++
		case !slices.Contains(ids, n.id):
			c.HistoryLost++
			c.example("lost", "message %s, acknowledged as %s at %s, is not in history", n.key, n.id, stamp(n.acked))
		}
		if n.id != 0 {
			c.Acknowledged++
		}
		if len(ids) > 1 && n.nonce {
			c.HistoryDoubled++
			c.example("doubled", "message %s is in history as %s and %s", n.key, ids[0], ids[1])
		} else if len(ids) > 1 {
			c.Repeated++
		}
	}
}

// client compares what one client got of its guilds with what it had to get. v judges for it, guild by guild.
func (c *court) client(name string, guilds []int, v func(guild int) *view, r *record) {
	c.Sockets += len(r.breaks)
	c.Resumed += r.resumes
	c.Identified += max(0, r.identifies-1)
	if r.unshown > 0 {
		c.tell("%s: %d messages in channels that it was not shown", name, r.unshown)
	}
	if r.adrift() {
		c.tell("%s: not live at the end", name)
	}
	heard := map[int][]delivery{}
	for _, d := range r.got {
		if d.note < 0 {
			c.tell("%s: got %s, which nobody wrote", name, d.id)
			continue
		}
		heard[d.guild] = append(heard[d.guild], d)
	}
	for _, g := range guilds {
		c.guild(name, g, v(g), heard[g], windows(g, r))
		delete(heard, g)
	}
	for g, list := range heard {
		c.Leaked += len(list)
		c.example("leaked", "to %s: %d messages of guild %d, which it never was in", name, len(list), g)
	}
}

// guild compares what one client got of one guild.
func (c *court) guild(name string, g int, v *view, heard []delivery, open []window) {
	got := make(map[proto.ID]bool, len(heard))
	last := proto.ID(0)
	channels := c.town.guilds[g].channels
	for _, d := range heard {
		k, known := c.known[g][d.id]
		switch {
		case !known:
			c.tell("%s: got %s of guild %d, which is not in history", name, d.id, g)
		case c.past[g][k].room != d.room:
			c.tell("%s: got %s in the wrong channel", name, d.id)
		case got[d.id]:
			c.Doubled++
			c.example("doubled", "at %s: %s of guild %d, again at %s", name, d.id, g, stamp(d.at))
		case d.id < last:
			c.Disordered++
			c.example("disordered", "at %s: %s of guild %d came after %s, at %s", name, d.id, g, last, stamp(d.at))
		}
		if !known || got[d.id] {
			continue
		}
		got[d.id] = true
		last = max(last, d.id)
		if v.judge(channels[d.room], d.id) == mustNot {
			c.Leaked++
			c.example("leaked", "to %s: %s of guild %d, room %d, at %s", name, d.id, g, d.room, stamp(d.at))
		}
	}
	var run []said // lost one after the other
	var unseen []said
	for _, m := range c.past[g] {
		verdict := v.judge(channels[m.room], m.id)
		switch verdict {
		case disputed:
			c.tell("witnesses differ: whether %s may see %s of guild %d", name, m.id, g)
			fallthrough
		case unknown:
			unseen = append(unseen, m)
			continue
		case mustNot:
			continue
		}
		c.Due++
		if got[m.id] {
			c.Delivered++
			c.lost(name, g, run)
			run = nil
			continue
		}
		switch excuse(open, m) {
		case anew:
			c.MissedAnew++
		case join:
			c.Early++
		case adrift:
			c.Adrift++
		default:
			run = append(run, m)
		}
	}
	c.lost(name, g, run)
	if n := len(unseen); n > 0 {
		c.Undecided += n
		c.example("undecided", "%s: %d of %d messages of guild %d, the first written %s, the last %s; witnesses saw %d", name, n, len(c.past[g]), g, stamp(unseen[0].note.sent),
			stamp(unseen[n-1].note.sent), len(v.order))
	}
}

// lost counts what one client lost at one place.
func (c *court) lost(name string, g int, run []said) {
	if len(run) == 0 {
		return
	}
	c.Lost += len(run)
	first, last := run[0], run[len(run)-1]
	c.example("lost", "%s: %d messages of guild %d, from %s, written %s, acknowledged %s, to %s, written %s", name, len(run), g, first.id,
		stamp(first.note.sent), stamp(first.note.acked), last.id, stamp(last.note.sent))
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("15:04:05.000")
}

// A window is a time in which a client need not have heard a guild: between two sessions, or between a join and its GUILD_CREATE.
type window struct {
	kind          turnKind
	after, before proto.ID // got last before it and first after it; 0: nothing
	until         time.Time
}

// adrift tells whether the client was on its way to another socket, or session, at the end.
func (r *record) adrift() bool {
	n := len(r.breaks)
	return n > 0 && r.breaks[n-1].to.IsZero()
}

// windows of one guild.
func windows(g int, r *record) (list []window) {
	if r.adrift() {
		w := window{kind: adrift, until: never}
		for i := len(r.got) - 1; i >= 0 && w.after == 0; i-- {
			if r.got[i].guild == g {
				w.after = r.got[i].id
			}
		}
		list = append(list, w)
	}
	for _, t := range r.turns {
		if t.guild != g || t.kind != anew && t.kind != join {
			continue
		}
		w := window{kind: t.kind, until: t.at}
		for i := t.pos - 1; i >= 0 && w.after == 0; i-- {
			if r.got[i].guild == g {
				w.after = r.got[i].id
			}
		}
		for i := t.pos; i < len(r.got) && w.before == 0; i++ {
			if r.got[i].guild == g {
				w.before = r.got[i].id
			}
		}
		list = append(list, w)
	}
	return list
}

// never comes after everything.
var never = time.Unix(1<<40, 0)

// excuse says which window a message that was not heard fell into. What was written only after the guild was there has none.
func excuse(open []window, m said) turnKind {
	for _, w := range open {
		if m.id > w.after && (w.before == 0 || m.id < w.before) && m.note.sent.Before(w.until) {
			return w.kind
		}
	}
	return first
}
