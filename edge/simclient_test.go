package edge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/starling-chat/starling/core/resume"
	"github.com/starling-chat/starling/edge/transport"
	"github.com/starling-chat/starling/proto"
)

// A simClient behaves as libraries do: it keeps session_id and the last s, RESUMEs anywhere, and identifies where it is told so. What it is sent is
// held against what it is entitled to.
type simClient struct {
	w       *simWorld
	n       int
	user    *simUser
	token   string
	intents int64

	conn     *simConn
	asked    time.Time // IDENTIFY or RESUME was sent on conn
	session  string
	s        int64
	live     bool // READY or RESUMED came on conn
	leftAt   time.Time
	closedAt time.Time
	tried    bool      // RESUME was sent in this session
	triedAt  time.Time // first
	// What cores lost of it since.
	unregistered, tombless bool

	places  []simCursor // by bucket
	guilds  map[proto.ID]*simShown
	seats   map[proto.ID]*simSeat
	repeats bool // a journal's tail was lost with its link: what was had may come again
	tails   int
}

func (c *simClient) String() string { return fmt.Sprint("c", c.n) }

// open connects to an edge and says IDENTIFY or RESUME.
func (c *simClient) open(e *simEdge) {
	c.w.conns++
	c.conn = &simConn{n: c.w.conns, edge: e, client: c, limit: c.w.connLimit}
	c.live = false
	c.conn.handler = e.srv.accept(c.conn, transport.Request{Version: 10, Compress: transport.Plain, Remote: "127.0.0.1"})
	e.conns = append(e.conns, c.conn)
	if c.session == "" {
		c.identify()
		return
	}
	if !c.tried {
		c.tried, c.triedAt = true, time.Now()
	}
	c.asked = time.Now()
	c.w.stats.resumes++
	c.w.logf("%v RESUME at %v, s %d, away %v", c, e, c.s, time.Since(c.leftAt).Round(time.Second))
	c.send(proto.OpResume, proto.Resume{Token: c.token, SessionID: c.session, Seq: c.s})
}

func (c *simClient) identify() {
	c.w.logf("%v IDENTIFY at %v", c, c.conn.edge)
	c.w.stats.identifies++
	c.asked = time.Now()
	c.send(proto.OpIdentify, map[string]any{"token": c.token, "intents": c.intents})
}

func (c *simClient) send(op proto.Opcode, d any) {
	c.conn.handler.OnFrame(c.conn, simJSON(map[string]any{"op": op, "d": d}))
}

// leave drops the connection, which its edge may notice or not.
func (c *simClient) leave(notice bool, why string) {
	if c.conn == nil {
		return
	}
	c.w.logf("%v off %v, s %d: %s", c, c.conn.edge, c.s, why)
	if c.live {
		c.leftAt = time.Now()
	}
	c.conn.cut = true
	if notice {
		c.conn.end()
	}
	c.conn, c.live, c.closedAt = nil, false, time.Now()
}

// read takes up to n frames.
func (c *simClient) read(n int) {
	for ; n > 0 && c.conn != nil && len(c.conn.queue) > 0; n-- {
		f := c.conn.queue[0]
		c.conn.queue = c.conn.queue[1:]
		c.take(f)
	}
	if c.conn != nil && len(c.conn.queue) == 0 && c.conn.code != 0 {
		if code := c.conn.code; code == proto.CloseAuthFailed || code >= 4001 && code <= 4005 {
			c.w.fail("%v closed with %d", c, code)
		}
		c.leave(true, fmt.Sprint("closed ", c.conn.code))
	}
}

type simFrame struct {
	T  string          `json:"t"`
	S  *int64          `json:"s"`
	Op int             `json:"op"`
	D  json.RawMessage `json:"d"`
}

func (c *simClient) take(raw []byte) {
	payload := raw[2:]
	switch raw[1] {
	case 126:
		payload = raw[4:]
	case 127:
		payload = raw[10:]
	}
	var f simFrame
	if err := json.Unmarshal(payload, &f); err != nil {
		c.w.fail("%v got %q: %v", c, payload, err)
		return
	}
	switch f.Op {
	case 0:
		c.w.stats.frames++
		c.dispatch(&f)
	case 9:
		c.invalid()
	}
}

// forgotten tells whether nobody may know any more where the session went: tombs tell it where the registry does not, and they end.
func (c *simClient) forgotten() bool {
	return c.unregistered && (c.tombless || time.Since(c.triedAt) > resume.Retention-time.Minute)
}

// invalid is op 9 false: the session is over.
func (c *simClient) invalid() {
	away := time.Since(c.leftAt)
	c.w.stats.op9++
	c.w.logf("%v op 9, away %v", c, away.Round(time.Second))
	if c.live {
		away = 0
	}
	if away <= 5*time.Minute && !c.forgotten() && !c.w.spanEnds(c) {
		c.w.fail("OP 9 WITHOUT CAUSE %v, away %v", c, away)
	}
	c.session, c.live = "", false
	c.identify()
}

func (c *simClient) dispatch(f *simFrame) {
	if f.S == nil {
		c.w.fail("%v got %s without s", c, f.T)
		return
	}
	s := *f.S
	c.w.logf("%v s %d %s %.230s", c, s, f.T, f.D)
	c.w.mu.Lock()
	tails := c.w.tails[c.session]
	c.w.mu.Unlock()
	if tails > c.tails && f.T != proto.EventReady {
		c.tails = tails
		c.allow()
	}
	if f.T == proto.EventReady {
		c.ready(s, f.D)
		return
	}
	if c.session == "" {
		c.w.fail("LOSS %v %s before READY", c, f.T)
		return
	}
	if s <= c.s {
		c.w.fail("NUMBER FELL %v from %d to %d at %s", c, c.s, s, f.T)
	}
	c.s = s
	switch f.T {
	case proto.EventResumed:
		c.w.stats.resumed++
		c.w.logf("%v RESUMED, s %d", c, s)
		c.live = true
		return
	case proto.EventPresencesReplace:
		return
	case proto.EventGuildCreate:
		c.guildCreate(f.D)
	case proto.EventGuildDelete:
		c.guildDelete(f.D)
	case proto.EventChannelCreate, proto.EventChannelUpdate, proto.EventChannelDelete:
		var ch proto.Channel
		if json.Unmarshal(f.D, &ch) != nil {
			c.w.fail("%v got %s", c, f.D)
			return
		}
		if ch.GuildID == 0 {
			c.directTold(f.T, ch.ID, 0)
			return
		}
		c.event(ch.GuildID.Bucket(), channelTag(f.T, ch.ID, ch.Name))
	default:
		var said struct {
			ID      proto.ID `json:"id"`
			Channel proto.ID `json:"channel_id"`
		}
		if f.T == proto.EventMessageCreate && !bytes.Contains(f.D, []byte(`"guild_id"`)) && json.Unmarshal(f.D, &said) == nil {
			c.directTold(f.T, said.Channel, said.ID)
			return
		}
		bucket := c.user.bucket
		if _, rest, ok := bytes.Cut(f.D, []byte(`"guild_id":"`)); ok {
			id, err := proto.ParseID(string(rest[:bytes.IndexByte(rest, '"')]))
			if err != nil {
				c.w.fail("%v got %s", c, f.D)
				return
			}
			bucket = id.Bucket()
		} else if f.T == proto.EventGuildUpdate {
			var g struct {
				ID proto.ID `json:"id"`
			}
			_ = json.Unmarshal(f.D, &g)
			bucket = g.ID.Bucket()
		}
		c.event(bucket, bodyTag(f.T, f.D))
	}
}

func (c *simClient) ready(s int64, d []byte) {
	var r proto.Ready
	if err := json.Unmarshal(d, &r); err != nil {
		c.w.fail("%v READY: %v", c, err)
		return
	}
	c.session, c.s, c.live = r.SessionID, s, true
	c.tried, c.unregistered, c.tombless, c.repeats, c.tails = false, false, false, false, 0
	c.places, c.guilds = make([]simCursor, len(c.w.log.buckets)), map[proto.ID]*simShown{}
	for _, g := range r.Guilds {
		c.guilds[g.ID] = &simShown{listed: true}
	}
	at := -1
	for i, st := range c.user.states {
		if st.name == r.User.Username {
			at = i
		}
	}
	if at < 0 {
		c.w.fail("%v READY with name %s", c, r.User.Username)
		return
	}
	c.skipTo(c.user.bucket, c.user.states[at].at)
	c.seatAll(r.PrivateChannels)
	c.w.logf("%v READY at %v, s %d, home from %v", c, c.conn.edge, s, c.user.states[at].at)
}

// skipTo has everything up to an event be had.
func (c *simClient) skipTo(bucket int, at simPlace) {
	p := c.place(bucket)
	list := c.w.log.buckets[c.w.bucketAt(bucket)]
	p.next, _ = slices.BinarySearchFunc(list, at.sequence, func(e *simEntry, seq uint64) int { return int(int64(e.sequence) - int64(seq)) })
	p.event = at.event + 1
}

func (c *simClient) place(bucket int) *simCursor { return &c.places[c.w.bucketAt(bucket)] }

func (c *simClient) guildCreate(d []byte) {
	var g proto.GuildCreate
	if err := json.Unmarshal(d, &g); err != nil {
		c.w.fail("%v GUILD_CREATE: %v", c, err)
		return
	}
	guild := c.w.guild(g.ID)
	has := c.guilds[g.ID]
	if has == nil {
		has = &simShown{}
		c.guilds[g.ID] = has
	}
	if has.shown && !c.repeats {
		c.w.fail("REPEAT %v GUILD_CREATE of %d", c, g.ID)
		return
	}
	first, last, found := guild.positions(shownBy(&g, c.user.id, guild.large), c.user.id)
	if !found {
		c.w.fail("WRONG %v GUILD_CREATE of g%d shows what never was:\n%s\nbut at last\n%s", c, c.w.guildNumber(guild), shownBy(&g, c.user.id, guild.large),
			guild.now().shown(c.user.id, guild.large))
		return
	}
	*has = simShown{shown: true, first: first, last: last, fresh: true}
	c.w.logf("%v s %d GUILD_CREATE g%d as of %v to %v", c, c.s, c.w.guildNumber(guild), first, last)
	p := c.place(guild.bucket)
	if at := c.at(guild.bucket); last.less(at) { // what came behind it was had of other guilds
		for _, e := range c.w.log.buckets[c.w.bucketAt(guild.bucket)][:p.next] {
			for _, ev := range e.events {
				if ev.guild == guild && last.less(ev.at) && len(ev.frames(c.user.id, c.intents)) > 0 {
					c.w.fail("LOSS %v bucket %d: %s of the guild shown as of %v is before %v", c, guild.bucket, ev.event.Type, last, at)
					return
				}
			}
		}
	}
}

// at is the place of the next event in a bucket.
func (c *simClient) at(bucket int) simPlace {
	p, list := c.place(bucket), c.w.log.buckets[c.w.bucketAt(bucket)]
	if p.next == len(list) {
		return simPlace{1 << 62, 0}
	}
	return simPlace{list[p.next].sequence, p.event}
}

func (c *simClient) guildDelete(d []byte) {
	var stub proto.GuildStub
	if err := json.Unmarshal(d, &stub); err != nil {
		c.w.fail("%v GUILD_DELETE: %v", c, err)
		return
	}
	has := c.guilds[stub.ID]
	switch {
	case stub.Unavailable:
		if has == nil {
			has = &simShown{}
			c.guilds[stub.ID] = has
		}
		c.w.logf("%v s %d g%d is unavailable", c, c.s, c.w.guildNumber(c.w.guild(stub.ID)))
		has.shown, has.listed = false, true
	case has == nil || !has.shown:
		if has == nil || !has.listed {
			if !c.repeats {
				c.w.fail("REPEAT %v GUILD_DELETE of %d, which it has not", c, stub.ID)
			}
			return
		}
		has.listed = false
	case has.again && c.endedBehind(stub.ID):
		// Whether the lost tail showed the guild nobody knows: its end is told for safety, behind the replay and not in its place.
		has.shown, has.again = false, false
	default:
		c.event(stub.ID.Bucket(), goneTag(stub.ID))
	}
}

// endedBehind tells whether the user was no member of a guild any more behind some event that the client may have had.
func (c *simClient) endedBehind(id proto.ID) bool {
	g, has := c.w.guild(id), c.guilds[id]
	return slices.ContainsFunc(g.states, func(s *simState) bool {
		_, in := s.rows[c.user.id]
		return !in && has.first.less(s.at)
	})
}
