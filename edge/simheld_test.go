package edge

import (
	"fmt"
	"slices"
	"strings"

	"github.com/starling-chat/starling/proto"
)

// This file holds what a client is sent of the log against what it is entitled to: the next that it has not, in each bucket.

// A simCursor is how far a client is in a bucket.
type simCursor struct {
	next    int // entry
	event   int
	had     []string // frames of that event
	repeats int      // entries below may come again
}

// A simShown is a guild as a client has it.
type simShown struct {
	shown       bool
	first, last simPlace // events up to last are in what it was shown; from first on in doubt
	fresh       bool     // nothing of it came since
	again       bool     // what was lost of a journal may be that it was shown: then it is shown again, as of later
	listed      bool     // it was told of it, without contents
}

// expects are the frames that the client is still to get of an event.
func (c *simClient) expects(e *simEvent) []string {
	if e.guild != nil {
		if g := c.guilds[e.guild.id]; g == nil || !g.shown || !g.first.less(e.at) {
			return nil
		}
	}
	return e.frames(c.user.id, c.intents)
}

// doubtful tells whether a client that has some frames of an event, or none, may go without the rest.
func (c *simClient) doubtful(e *simEvent, some bool) bool {
	if e.guild == nil {
		return false
	}
	if _, is := e.after.rows[c.user.id]; c.tried && e.guild.now().dead && is {
		return true // whoever resumes hears of a guild that is no more only that
	}
	g := c.guilds[e.guild.id]
	return g.fresh && !g.last.less(e.at) && !some // it is in what the client was shown
}

// event takes a frame of the log: it has to be the next.
func (c *simClient) event(bucket int, tag string) {
	if !c.w.hasBucket(bucket) {
		c.w.fail("LEAK %v bucket %d: %s", c, bucket, tag)
		return
	}
	p, list := c.place(bucket), c.w.log.buckets[c.w.bucketAt(bucket)]
	next, event := p.next, p.event
	var missed *simEvent
	left, skipped := map[*simGuild]bool{}, false
	for i := next; i < len(list); i, event = i+1, 0 {
		for k := event; k < len(list[i].events); k++ {
			ev := list[i].events[k]
			rest := c.expects(ev)
			if i == p.next && k == p.event {
				for _, had := range p.had {
					if at := slices.Index(rest, had); at >= 0 {
						rest = slices.Delete(rest, at, at+1)
					}
				}
			}
			if len(rest) == 0 {
				continue
			}
			// What a lost tail showed, and the user is in no more, ends without what came between.
			if missed == nil && slices.Contains(rest, tag) && (!left[ev.guild] || strings.HasPrefix(tag, proto.EventGuildDelete)) {
				if skipped && c.gotBefore(bucket, tag) { // a channel comes back as it was: this may be the first time, once more
					c.w.stats.repeats++
					return
				}
				if i != p.next || k != p.event {
					p.next, p.event, p.had = i, k, nil
				}
				p.had = append(p.had, tag)
				c.had(ev, tag, len(rest) == 1)
				return
			}
			if missed == nil && !c.doubtful(ev, i == p.next && k == p.event && len(p.had) > 0) {
				if ev.guild != nil && c.guilds[ev.guild.id].again && !slices.Contains(rest, tag) {
					left[ev.guild] = true
					continue
				}
				missed = ev
			}
			skipped = true
			if missed != nil && slices.Contains(rest, tag) && !c.again(bucket, tag) { // a repeat may look like what is yet to come
				c.w.fail("LOSS %v bucket %d: wanted %s of %v, got %s of %v", c, bucket, missed.event.Type, missed.at, brief(tag), ev.at)
				return
			}
		}
	}
	if c.again(bucket, tag) {
		c.w.stats.repeats++
		return
	}
	for i := 0; i <= next && i < len(list); i++ {
		for _, ev := range list[i].events {
			if slices.Contains(ev.frames(c.user.id, c.intents), tag) {
				c.w.fail("REPEAT %v bucket %d: %s of %v, at %v", c, bucket, brief(tag), ev.at, c.at(bucket))
				return
			}
		}
	}
	c.w.fail("LEAK %v bucket %d: %s", c, bucket, brief(tag))
}

// again tells whether a frame is one that was had, and may come once more.
func (c *simClient) again(bucket int, tag string) bool {
	p := c.place(bucket)
	for _, e := range c.w.log.buckets[c.w.bucketAt(bucket)][:p.repeats] {
		for _, ev := range e.events {
			if slices.Contains(ev.frames(c.user.id, c.intents), tag) {
				return true
			}
		}
	}
	return false
}

// gotBefore tells whether a frame that may come once more looks like this one, which is not the end of a guild.
func (c *simClient) gotBefore(bucket int, tag string) bool {
	p, list := c.place(bucket), c.w.log.buckets[c.w.bucketAt(bucket)]
	if strings.HasPrefix(tag, proto.EventGuildDelete) {
		return false
	}
	for i := range min(p.repeats, p.next) {
		for _, ev := range list[i].events {
			if slices.Contains(ev.frames(c.user.id, c.intents), tag) {
				return true
			}
		}
	}
	if p.next >= p.repeats {
		return false
	}
	return slices.Contains(p.had, tag) || slices.ContainsFunc(list[p.next].events[:p.event], func(ev *simEvent) bool {
		return slices.Contains(ev.frames(c.user.id, c.intents), tag)
	})
}

// had takes note of a frame.
func (c *simClient) had(ev *simEvent, tag string, whole bool) {
	c.w.stats.events++
	c.w.logf("%v s %d has %s of b%d %v", c, c.s, brief(tag), c.w.bucketOf(ev), ev.at)
	if ev.guild == nil {
		return
	}
	g := c.guilds[ev.guild.id]
	g.fresh, g.again = false, false
	if strings.HasPrefix(tag, proto.EventGuildDelete) {
		g.shown = false
	}
}

func brief(tag string) string { return tag[:min(len(tag), 110)] }

// allow has everything had so far be allowed to come again.
func (c *simClient) allow() {
	c.repeats = true
	for i := range c.places {
		p := &c.places[i]
		p.repeats = min(p.next+1, len(c.w.log.buckets[i]))
	}
	for _, g := range c.guilds {
		g.again = g.shown
	}
	for _, s := range c.seats {
		s.repeats = s.next
	}
}

// lacks tells what the client should have and has not, once all is quiet.
func (c *simClient) lacks() string {
	for b, list := range c.w.log.buckets {
		p := &c.places[b]
		event := p.event
		for i := p.next; i < len(list); i, event = i+1, 0 {
			for k := event; k < len(list[i].events); k++ {
				ev := list[i].events[k]
				rest := c.expects(ev)
				if i == p.next && k == p.event {
					for _, had := range p.had {
						if at := slices.Index(rest, had); at >= 0 {
							rest = slices.Delete(rest, at, at+1)
						}
					}
				}
				if len(rest) > 0 && !c.doubtful(ev, false) {
					return fmt.Sprintf("bucket %d: %s of %v", c.w.ids[b], brief(rest[0]), ev.at)
				}
			}
		}
	}
	for i, g := range c.w.log.guilds {
		_, in := g.now().rows[c.user.id]
		has := c.guilds[g.id]
		if in && (has == nil || !has.shown) {
			return fmt.Sprintf("guild %d, of which it is a member", i)
		}
		if !in && has != nil && has.shown {
			return fmt.Sprintf("the end of guild %d", i)
		}
	}
	return c.lacksDirect()
}
