package chaos

import (
	"slices"
	"time"
)

// Times are durations in order of length.
type Times []time.Duration

// At is a quantile, between 0 and 1.
func (t Times) At(q float64) time.Duration {
	if len(t) == 0 {
		return 0
	}
	return t[min(int(q*float64(len(t))), len(t)-1)]
}

// Max is the longest.
func (t Times) Max() time.Duration { return t.At(1) }

// A Second of the run.
type Second struct {
	Delivered int
	P50, P99  time.Duration // from the first try of a message until a client had it
	Written   int           // first tries
	Acked     int
}

// seconds of a run of a length.
func seconds(began time.Time, length time.Duration, notes []*note, records []*record) []Second {
	list := make([]Second, int(length/time.Second)+1)
	at := func(t time.Time) int { return min(max(int(t.Sub(began)/time.Second), 0), len(list)-1) }
	took := make([]Times, len(list))
	for _, n := range notes {
		list[at(n.sent)].Written++
		if n.id != 0 {
			list[at(n.acked)].Acked++
		}
	}
	for _, r := range records {
		for _, d := range r.got {
			if d.note >= 0 && d.note < len(notes) {
				i := at(d.at)
				took[i] = append(took[i], d.at.Sub(notes[d.note].sent))
			}
		}
	}
	for i, t := range took {
		slices.Sort(t)
		list[i].Delivered, list[i].P50, list[i].P99 = len(t), t.At(.5), t.At(.99)
	}
	return list
}

// An Effect is what clients and writers felt of a fault, until the next one that is not Rights.
type Effect struct {
	Done
	Until   time.Duration
	Broken  int           // sockets that ended
	Resumed int           // of these sessions
	Anew    int           // identified anew
	Back    Times         // from the end of a socket, or the kill of its edge, until the client was live again
	Silence Times         // the longest of each client in which it heard nothing
	Answer  time.Duration // the longest that a writer waited
}

// killWindow is how soon after the kill of an edge a socket that ends counts as ended by it.
const killWindow = 2 * time.Second

// effects of all faults.
func effects(began time.Time, length time.Duration, done []Done, notes []*note, records []*record) []Effect {
	list := make([]Effect, len(done))
	for i, d := range done {
		list[i] = Effect{Done: d, Until: length}
		for _, next := range done[i+1:] {
			if next.Kind != Rights {
				list[i].Until = next.Began
				break
			}
		}
	}
	for i := range list {
		e := &list[i]
		from, until := began.Add(e.Began), began.Add(e.Until)
		for _, r := range records {
			e.feel(r, from, until)
		}
		slices.Sort(e.Back)
		slices.Sort(e.Silence)
		for _, n := range notes {
			if n.id != 0 && n.acked.After(from) && !n.acked.After(until) {
				e.Answer = max(e.Answer, n.acked.Sub(n.sent))
			}
		}
	}
	return list
}

// feel adds what one client felt between two moments.
func (e *Effect) feel(r *record, from, until time.Time) {
	for _, g := range r.breaks {
		if g.from.Before(from) || !g.from.Before(until) {
			continue
		}
		e.Broken++
		if g.anew {
			e.Anew++
		} else if !g.to.IsZero() {
			e.Resumed++
		}
		if g.to.IsZero() {
			continue
		}
		if e.Kind == Kill && g.from.Sub(from) < killWindow {
			e.Back = append(e.Back, g.to.Sub(from))
		} else {
			e.Back = append(e.Back, g.to.Sub(g.from))
		}
	}
	longest := time.Duration(0)
	i, _ := slices.BinarySearchFunc(r.got, from, func(d delivery, t time.Time) int { return d.at.Compare(t) })
	last := from
	if i > 0 {
		last = r.got[i-1].at
	}
	for ; i < len(r.got) && r.got[i].at.Before(until); i++ {
		longest = max(longest, r.got[i].at.Sub(last))
		last = r.got[i].at
	}
	e.Silence = append(e.Silence, max(longest, until.Sub(last))) // what goes on then is the next fault's
}

// killedEdges joins how long the clients of all edges that were killed took to be live again.
func killedEdges(list []Effect) (all Times) {
	for _, e := range list {
		if e.Kind == Kill && len(e.Target) > 4 && e.Target[:4] == "edge" {
			all = append(all, e.Back...)
		}
	}
	slices.Sort(all)
	return all
}
