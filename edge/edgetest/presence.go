package edgetest

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	pbuf "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

// presence is what the core keeps of it: the last report of each edge.
type presence struct {
	reports map[proto.ID]map[string]*pb.PresenceReport // user → edge
	down    bool
	mute    bool // changes are kept and not told, as if they were lost
	calls   int  // reports that came, of all users
}

// ServePresence has the core answer the rpcs of presence from now on, and announce changes.
func (c *Core) ServePresence() {
	c.t.Helper()
	c.mu.Lock()
	c.presence = &presence{reports: map[proto.ID]map[string]*pb.PresenceReport{}}
	c.mu.Unlock()
	for name, h := range map[string]func(context.Context, []byte) []byte{"presence": c.takeReports, "presences": c.tellPresences} {
		stop, err := c.bus.Serve(relay.RPCSubject(relaytest.Region, name), "api", 4, h)
		if err != nil {
			c.t.Fatal(err)
		}
		c.t.Cleanup(stop)
	}
}

// PresenceDown makes presence unavailable, or ends that.
func (c *Core) PresenceDown(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.presence.down = down
}

// PresenceMute has changes be lost on their way to edges, or ends that.
func (c *Core) PresenceMute(mute bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.presence.mute = mute
}

// ForgetPresence drops all reports, as a store that lost its memory.
func (c *Core) ForgetPresence() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.presence.reports)
}

// Reports counts reports of users so far.
func (c *Core) Reports() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.presence.calls
}

// Reported is what the edge told of a user last; nil if nothing, or that the user is gone.
func (c *Core) Reported(u *User, edge string) *pb.PresenceReport {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.presence.reports[u.ID][edge]
}

// AddMember makes a person who is in a guild.
func (c *Core) AddMember(g *proto.Guild, name string, bucket int) *User {
	u := c.AddPerson(name, bucket)
	c.Join(g, u)
	return u
}

func (c *Core) takeReports(_ context.Context, body []byte) []byte {
	var call pb.PresenceCall
	ans := &pb.PresenceAnswer{}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.presence
	if err := pbuf.Unmarshal(body, &call); err != nil || p.down {
		ans.Error = "down"
		call.Reports = nil
	}
	for _, r := range call.Reports {
		p.calls++
		user := proto.ID(r.User)
		before := p.merged(user)
		edges := p.reports[user]
		if edges == nil {
			edges = map[string]*pb.PresenceReport{}
			p.reports[user] = edges
		}
		if edges[call.Edge] = r; r.Gone {
			delete(edges, call.Edge)
		}
		if after := p.merged(user); string(after) != string(before) && !p.mute {
			c.announceLocked(user)
		}
	}
	out, _ := pbMarshal(ans)
	return out
}

func (p *presence) look(user proto.ID) proto.Look {
	var looks []proto.Look
	for _, edge := range slices.Sorted(maps.Keys(p.reports[user])) {
		r := p.reports[user][edge]
		l := proto.Look{Status: proto.Status(r.Status), Activities: r.Activities, Devices: map[string]proto.Status{}}
		for d, s := range r.Devices {
			l.Devices[d] = proto.Status(s)
		}
		looks = append(looks, l)
	}
	return proto.MergeLooks(looks)
}

// merged is the presence of a user as others see it, without a guild.
func (p *presence) merged(user proto.ID) []byte { return body(p.shown(user, 0)) }

func (p *presence) shown(user, guild proto.ID) proto.Presence {
	l := p.look(user)
	out := proto.Presence{User: proto.PresenceUser{ID: user}, GuildID: guild, Status: proto.StatusOffline, Activities: json.RawMessage("[]"),
		ClientStatus: map[string]proto.Status{}}
	if l.Status.Visible() {
		out.Status, out.ClientStatus = l.Status, l.Devices
		if len(l.Activities) > 0 {
			out.Activities = l.Activities
		}
	}
	return out
}

func (c *Core) announceLocked(user proto.ID) {
	for _, u := range c.users {
		if u.ID != user {
			continue
		}
		for _, g := range u.Guilds {
			b, _ := pbMarshal(&pb.Event{Type: proto.EventPresenceUpdate, Guild: uint64(g), User: uint64(user), Id: uint64(user), Author: uint64(user),
				Body: body(c.presence.shown(user, g))})
			if err := c.bus.Publish(relay.EphemeralSubject(relaytest.Region, g.Bucket()), b); err != nil {
				c.t.Error(err)
			}
		}
		return
	}
}

func (c *Core) tellPresences(_ context.Context, body []byte) []byte {
	var call pb.PresencesCall
	ans := &pb.PresencesAnswer{}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := pbuf.Unmarshal(body, &call); err != nil || c.presence.down {
		ans.Error = "down"
		call.Users = nil
	}
	for _, u := range call.Users {
		l := c.presence.look(proto.ID(u))
		if !l.Status.Visible() {
			continue
		}
		r := &pb.PresenceReport{User: u, Status: string(l.Status), Activities: l.Activities, Devices: map[string]string{}}
		for d, s := range l.Devices {
			r.Devices[d] = string(s)
		}
		ans.Presences = append(ans.Presences, r)
	}
	out, _ := pbMarshal(ans)
	return out
}
