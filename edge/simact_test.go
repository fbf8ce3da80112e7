package edge

import (
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/starling-chat/starling/core/resume"
	"github.com/starling-chat/starling/proto"
	records "github.com/starling-chat/starling/proto/journal"
)

var simStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// simActs are what a schedule is made of, and how often each comes in the mean.
var simActs = []struct {
	often int
	do    func(w *simWorld)
}{
	{20, (*simWorld).publish},
	{5, (*simWorld).homes},
	{25, (*simWorld).deliver},
	{25, (*simWorld).loops},
	{40, (*simWorld).letGo},
	{2, (*simWorld).failCall},
	{15, (*simWorld).reads},
	{7, (*simWorld).clientActs},
	{2, (*simWorld).hops},
	{2, (*simWorld).kills},
	{1, (*simWorld).dies},
	{3, (*simWorld).boots},
	{1, (*simWorld).cuts},
	{2, (*simWorld).mends},
	{12, (*simWorld).acknowledges},
	{1, (*simWorld).forgets},
	{1, (*simWorld).crowds},
	{8, (*simWorld).moment},
	{3, (*simWorld).while},
	{1, (*simWorld).long},
	{3, (*simWorld).ticks},
}

func newSimWorld(seed uint64, ctx context.Context, tell bool) *simWorld {
	time.Sleep(simStart.Sub(time.Now())) // a bubble begins before the time that ids count from
	r := rand.New(rand.NewPCG(seed, 7))
	w := &simWorld{r: r, seed: seed, ctx: ctx, log: &simLog{r: r}, tokens: map[string]*simUser{}, keys: map[string]uint64{}, started: time.Now(), journals: map[simBoot]*records.Index{},
		lost: map[simBoot]bool{}, unheard: map[simBoot]time.Time{}, tombs: map[string]simBuried{}, registry: map[string]simRegistered{}, tails: map[string]int{}}
	if tell {
		w.trace = new(strings.Builder)
	}
	w.signer = resume.NewSigner([32]byte{1})
	w.service = resume.New(resume.Config{Signer: w.signer, Journals: w, Tombs: w, Registry: w, Holders: w, Users: w, Mutation: simMutation})
	w.ring, w.connLimit, w.journalRoom, w.recordRoom, w.back = 4096, 1<<20, 1<<20, 1<<20, r.IntN(3)
	if r.IntN(5) == 0 {
		w.journalRoom, w.recordRoom = 2+r.IntN(15), 5+r.IntN(30)
	}
	if w.recordMost = mostOfRecord; r.IntN(3) == 0 {
		w.recordMost = 1 + r.IntN(8)
		w.journalRoom += 200 // or what one client causes is too much for ever
	}
	if r.IntN(2) == 0 {
		w.ring = 3 + r.IntN(10)
	}
	if r.IntN(3) == 0 {
		w.connLimit = 15 + r.IntN(40)
	}
	for i, a := range simActs {
		w.weights = append(w.weights, a.often*[]int{1, 2, 2, 2, 4}[r.IntN(5)])
		if a.often <= 3 && r.IntN(3) == 0 {
			w.weights[i] = 0 // schedules of few sorts of trouble find other things
		}
	}
	for i := range 2 + r.IntN(2) {
		w.ids = append(w.ids, 5+i)
	}
	w.log.buckets = make([][]*simEntry, len(w.ids))
	for range 2 + r.IntN(2) {
		bucket := w.ids[r.IntN(len(w.ids))]
		id := w.log.id(bucket)
		u := &simUser{id: id, bucket: bucket, self: proto.NewUser(id, "u", true).Self(), directs: map[proto.ID]proto.ID{}}
		w.log.users = append(w.log.users, u)
		w.entry(bucket, func(e *simEntry) { w.log.renameUser(e, u) })
	}
	for range 1 + r.IntN(4) {
		bucket := w.ids[r.IntN(len(w.ids))]
		w.entry(bucket, func(e *simEntry) {
			g := w.log.born(e, bucket, w.log.users[r.IntN(len(w.log.users))], r.IntN(4) == 0)
			for range 1 + r.IntN(3) {
				w.log.setChannel(e, g, 0)
			}
			w.log.setRole(e, g, 0)
			for _, u := range w.log.users {
				if _, in := g.now().rows[u.id]; !in && r.IntN(4) > 0 {
					w.log.member(e, g, u, false)
				}
			}
		})
	}
	if r.IntN(2) == 0 {
		for range 1 + r.IntN(2) {
			w.log.befriend(w.ids[r.IntN(len(w.ids))], w.log.users[0], w.log.users[1])
		}
	}
	for len(w.log.outbox) > 0 && r.IntN(5) > 0 {
		w.homes()
	}
	for i := range 2 + r.IntN(2) {
		w.edges = append(w.edges, &simEdge{w: w, n: i})
	}
	for _, e := range w.edges {
		e.start()
	}
	for i := range 1 + r.IntN(3) {
		c := &simClient{w: w, n: i, user: w.log.users[r.IntN(len(w.log.users))], intents: proto.IntentsAll &^ proto.IntentGuildPresences}
		if r.IntN(4) == 0 {
			c.intents = proto.IntentGuilds | proto.IntentGuildMessages
		}
		c.token = base64.RawStdEncoding.EncodeToString(fmt.Append(nil, uint64(c.user.id))) + ".x." + fmt.Sprint("y", i) // calls of two clients differ
		w.tokens[c.token] = c.user
		w.clients = append(w.clients, c)
	}
	return w
}

// entry stores an entry of a bucket.
func (w *simWorld) entry(bucket int, fill func(e *simEntry)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.entryLocked(bucket, time.Duration(w.r.Int64N(3))*time.Millisecond, fill) // owners' clocks differ
}

func (w *simWorld) entryLocked(bucket int, late time.Duration, fill func(e *simEntry)) {
	at := w.bucketAt(bucket)
	e := w.log.open(at)
	fill(e)
	w.log.done(at, e, time.Now().Add(-late).UnixMilli())
	for _, x := range e.events {
		w.logLocked("b%d %v: %s g%d %d", bucket, x.at, x.event.Type, w.guildNumber(x.guild), proto.ID(x.event.Id).Step())
	}
}

func (w *simWorld) play() {
	total := 0
	for _, n := range w.weights {
		total += n
	}
	if w.r.IntN(3) > 0 { // most begin with everybody there
		w.calm(3*time.Second, true)
	}
	for range 80 + w.r.IntN(220) {
		n, i := w.r.IntN(total), 0
		for n -= w.weights[0]; n >= 0; n -= w.weights[i] {
			i++
		}
		simActs[i].do(w)
		if simForgetful && w.r.IntN(4) == 0 {
			[]func(){w.forgets, w.hops, w.crowds}[w.r.IntN(3)]()
		}
		w.pass(0)
		if w.bad() {
			return
		}
	}
}

// publish has an owner store an entry.
func (w *simWorld) publish() {
	l, r := w.log, w.r
	bucket := w.ids[r.IntN(len(w.ids))]
	w.entry(bucket, func(e *simEntry) {
		for range 1 + r.IntN(3) {
			if r.IntN(12) == 0 {
				for _, u := range l.users {
					if u.bucket == bucket && r.IntN(2) == 0 {
						l.renameUser(e, u)
					}
				}
			}
			if mine := slices.DeleteFunc(slices.Clone(l.directs), func(d *simDirect) bool { return d.bucket != bucket }); len(mine) > 0 && r.IntN(3) == 0 {
				l.talk(e, mine[r.IntN(len(mine))])
				continue
			}
			var alive []*simGuild
			for _, g := range l.guilds {
				if g.bucket == bucket && !g.now().dead {
					alive = append(alive, g)
				}
			}
			if len(alive) == 0 || len(l.guilds) < 7 && r.IntN(40) == 0 {
				if len(l.guilds) < 7 {
					g := l.born(e, bucket, l.users[r.IntN(len(l.users))], false)
					l.setChannel(e, g, 0)
				}
				continue
			}
			w.change(e, alive[r.IntN(len(alive))])
		}
	})
}

// change has something happen in a guild.
func (w *simWorld) change(e *simEntry, g *simGuild) {
	l, r := w.log, w.r
	u := l.users[r.IntN(len(l.users))]
	switch n := r.IntN(100); {
	case n < 55:
		l.speak(e, g)
	case n < 63:
		l.setChannel(e, g, simPick(r, g.now().channels))
	case n < 67:
		l.setChannel(e, g, 0)
	case n < 70:
		l.dropChannel(e, g)
	case n < 73:
		l.setRole(e, g, 0)
	case n < 79:
		l.setRole(e, g, simPick(r, g.now().roles))
	case n < 82:
		l.dropRole(e, g)
	case n < 90:
		l.member(e, g, u, false)
	case n < 96:
		l.member(e, g, u, true)
	case n < 99:
		l.rename(e, g)
	default:
		l.end(e, g)
	}
}

// homes has a user's bucket hear of a join, a leave, or a direct channel.
func (w *simWorld) homes() {
	if len(w.log.outbox) == 0 {
		return
	}
	j := w.log.outbox[0]
	w.log.outbox = w.log.outbox[1:]
	w.entry(j.user.bucket, func(e *simEntry) { w.log.deliver(e, j) })
}

func (w *simWorld) anEdge() *simEdge { return w.edges[w.r.IntN(len(w.edges))] }

func (w *simWorld) deliver() {
	e := w.anEdge()
	if !e.up || !e.link || !e.leaf {
		return
	}
	if list := e.reader.behind(); len(list) > 0 {
		e.reader.deliver(list[w.r.IntN(len(list))], 1+w.r.IntN(4))
	}
}

func (w *simWorld) loops() { w.anEdge().work() }

func (w *simWorld) letGo() {
	for range 1 + w.r.IntN(3) {
		if list := w.ready(); len(list) > 0 {
			w.let(list[w.r.IntN(len(list))], nil)
		}
	}
}

func (w *simWorld) failCall() {
	if list := w.ready(); len(list) > 0 {
		w.let(list[w.r.IntN(len(list))], errSimAway)
	}
}

func (w *simWorld) reads() { w.clients[w.r.IntN(len(w.clients))].read(1 + w.r.IntN(6)) }

// clientActs has a client come, go, or lose patience.
func (w *simWorld) clientActs() {
	c := w.clients[w.r.IntN(len(w.clients))]
	switch {
	case c.conn == nil:
		if e := w.anEdge(); e.up {
			c.open(e)
		}
	case w.r.IntN(3) == 0:
		c.read(w.r.IntN(len(c.conn.queue) + 1))
		c.leave(w.r.IntN(3) > 0, "cut")
	}
}

// hops has a client give up where it is, and ask at another edge before it has an answer.
func (w *simWorld) hops() {
	c, e := w.clients[w.r.IntN(len(w.clients))], w.anEdge()
	if c.session == "" || !e.up || c.conn != nil && c.conn.edge == e {
		return
	}
	c.leave(w.r.IntN(2) == 0, "elsewhere")
	c.open(e)
}

func (w *simWorld) acknowledges() {
	if e := w.anEdge(); e.up && e.link && e.leaf {
		e.journal.arrive(1+w.r.IntN(4), w.r.IntN(4) > 0)
	}
	if len(w.orphans) > 0 && w.r.IntN(2) == 0 {
		w.adopt()
	}
	w.settle()
}

func (w *simWorld) moment() { w.pass(time.Duration(w.r.IntN(300)) * time.Millisecond) }

func (w *simWorld) while() { w.pass(time.Duration(1+w.r.IntN(20)) * time.Second) }

func (w *simWorld) ticks() {
	for _, e := range w.edges {
		e.tick()
		e.beats()
	}
}

// long is a time in which nothing special happens.
func (w *simWorld) long() {
	d := time.Duration(10+w.r.IntN(50)) * time.Second
	switch w.r.IntN(8) {
	case 0:
		d = 320 * time.Second
	case 1:
		d = 500 * time.Second
	case 2:
		d = 110 * time.Second
	}
	w.logf("%v go by", d)
	w.calm(d, w.r.IntN(2) == 0)
}

// calm lets time go by with everybody doing what there is to do.
func (w *simWorld) calm(d time.Duration, come bool) {
	for d > 0 && !w.bad() {
		w.pump(come)
		chunk := 300 * time.Millisecond
		if w.quiet() {
			if chunk = time.Second; d > time.Minute {
				chunk = 5 * time.Second
			}
		}
		d -= chunk
		w.pass(chunk)
		for _, e := range w.edges {
			e.tick()
			e.beats()
		}
	}
	w.pump(come)
}

// quiet tells whether nobody waits for anything.
func (w *simWorld) quiet() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.calls) > 0 {
		return false
	}
	for _, c := range w.clients {
		if c.conn != nil && !c.live {
			return false
		}
	}
	return true
}

// pump does all there is to do.
func (w *simWorld) pump(come bool) {
	for round, more := 0, true; more && round < 400 && !w.bad(); round++ {
		more = false
		for _, e := range w.edges {
			if e.up && e.link && e.leaf {
				for _, b := range e.reader.behind() {
					e.reader.deliver(b, 100)
					more = true
				}
				e.journal.arrive(1<<20, true)
				w.settle()
			}
			more = e.work() || more
		}
		for len(w.orphans) > 0 {
			w.adopt()
		}
		for _, c := range w.ready() {
			w.let(c, nil)
			more = true
		}
		for _, c := range w.clients {
			if c.conn != nil && len(c.conn.queue) > 0 {
				more = true
			}
			c.read(1 << 20)
			if c.conn != nil && !c.live && time.Since(c.asked) > 40*time.Second {
				c.leave(true, "no answer")
			}
			if c.conn == nil && come && time.Since(c.closedAt) > time.Second {
				if e := w.anEdge(); e.up {
					c.open(e)
					more = true
				}
			}
		}
	}
}

// finish mends everything, and looks whether everybody has all.
func (w *simWorld) finish() {
	if w.bad() {
		return
	}
	w.logf("everything is mended")
	w.dieIn = nil
	for _, e := range w.edges {
		if e.dying {
			e.after()
		}
		if !e.up {
			e.start()
		}
		e.mend()
	}
	for _, d := range w.log.directs { // what was said in one that a client was not shown is due once it is back
		w.entry(d.bucket, func(e *simEntry) { w.log.write(e, d) })
	}
	for len(w.log.outbox) > 0 {
		w.homes()
	}
	for round := 0; !w.bad(); round++ {
		w.calm(8*time.Second, true)
		quiet := true
		for _, c := range w.clients {
			quiet = quiet && c.live && c.lacks() == ""
		}
		if quiet {
			break
		}
		if round == 20 {
			for _, c := range w.clients {
				if !c.live {
					w.fail("STUCK %v comes to no end, s %d", c, c.s)
				} else if lacks := c.lacks(); lacks != "" {
					w.fail("LOSS %v lacks at the end: %s", c, lacks)
				}
			}
		}
	}
	for _, e := range w.edges {
		if err := e.check(); err != nil && !w.bad() {
			w.fail("TABLES %v: %v", e, err)
		}
	}
}
