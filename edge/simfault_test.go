package edge

import "time"

// This file has what goes wrong in a world.

func (w *simWorld) kills() {
	if e := w.anEdge(); e.up {
		e.kill(w.r.IntN(4) == 0)
	}
}

// dies has the process end amid its next batch.
func (w *simWorld) dies() {
	if e := w.anEdge(); e.up {
		w.dieIn = e
	}
}

func (w *simWorld) boots() {
	if e := w.anEdge(); !e.up {
		e.start()
	}
}

func (w *simWorld) cuts() {
	if e := w.anEdge(); e.up && e.link {
		w.stats.cuts++
		leaf := w.r.IntN(3) == 0
		w.logf("%v is cut off, from its leaf %v", e, leaf)
		e.cut(leaf)
	}
}

func (w *simWorld) mends() {
	if e := w.anEdge(); e.up && !e.link {
		w.logf("%v is joined again", e)
		e.mend()
	}
}

// crowds has an edge have numbered much for people that the world has not: its numbers go beyond those of sessions that moved on. No edge numbers more
// than 2,000 a second (resume.md), and none of it is the tail of a journal.
func (w *simWorld) crowds() {
	e := w.anEdge()
	if w.tombless && w.unregistered && !simForgetful {
		return // who went where only the edges know now: one may have a session yet that is elsewhere, and take its number for one of its own
	}
	if e.up && e.link && e.leaf && time.Since(e.crowded) > 10*time.Second {
		e.crowded = time.Now()
		e.journal.arrive(1<<20, true)
		e.l.index += 1 << 14
		w.logf("%v numbers up to %d", e, e.l.index)
		e.l.flush()
		e.journal.arrive(1<<20, true)
		e.after()
	}
}

// forgets has the cores' stores lose what they hold, or go back to what they held. A registry that goes back while tombs are lost, too, is not among
// it: then a number may be taken for one of an earlier stay (docs/delivery.md).
func (w *simWorld) forgets() {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch w.r.IntN(6) {
	case 0:
		w.logLocked("the registry is lost")
		w.registry, w.unregistered = map[string]simRegistered{}, true
		w.forgotLocked(func(c *simClient) { c.unregistered = true })
	case 1:
		if w.saved == nil || time.Since(w.savedAt) > 30*time.Second || w.tombless {
			return
		}
		w.wentBack = true
		w.forgotLocked(func(c *simClient) { c.unregistered = true })
		w.logLocked("the registry goes back by %v", time.Since(w.savedAt).Round(time.Millisecond))
		w.registry = cloneRegistry(w.saved)
	case 2:
		if w.wentBack {
			return
		}
		w.logLocked("the tombs are lost")
		w.tombs, w.tombless = map[string]simBuried{}, true
		w.forgotLocked(func(c *simClient) { c.tombless = true })
	default:
		w.saved, w.savedAt = cloneRegistry(w.registry), time.Now()
		return
	}
	w.stats.wipes++
}

// forgotLocked marks the sessions that may have moved.
func (w *simWorld) forgotLocked(mark func(c *simClient)) {
	for _, c := range w.clients {
		if c.tried {
			mark(c)
		}
	}
}
