package loadtest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/loadtest/mesh"
	"github.com/starling-chat/starling/proto"
)

// watching has the intent for presences, deaf all others.
var (
	watching = map[string]any{"intents": client.DefaultIntents | proto.IntentGuildPresences}
	deaf     = map[string]any{"intents": client.DefaultIntents}
)

// as identifies with a status.
func as(status string, more map[string]any) map[string]any {
	d := map[string]any{"presence": map[string]any{"status": status, "since": nil, "afk": false, "activities": []any{}}}
	for k, v := range more {
		d[k] = v
	}
	return d
}

func poses(s *session, status string) {
	must(s.t, s.Send(proto.OpPresence, map[string]any{"since": nil, "activities": []any{}, "status": status, "afk": false}))
}

// looks is the status that an event gives a user; "" if it is of something else.
func looks(e client.Event, user proto.ID) proto.Status {
	var p proto.Presence
	if e.T == "PRESENCE_UPDATE" && e.Into(&p) == nil && p.User.ID == user {
		return p.Status
	}
	return ""
}

// seen lists what a session was told of a user's presence since a mark.
func seen(s *session, mark int, user proto.ID) (list []proto.Status) {
	for _, e := range s.Since(mark) {
		if status := looks(e, user); status != "" {
			list = append(list, status)
		}
	}
	return list
}

// sees waits until a session was told as many changes of a user as are wanted, and compares them.
func (w *town) sees(s *session, mark int, user proto.ID, want ...proto.Status) {
	w.t.Helper()
	n := 0
	w.await(s.Gateway, mark, fmt.Sprint("presence ", want), func(e client.Event) bool {
		if looks(e, user) != "" {
			n++
		}
		return n == len(want)
	})
	if got := seen(s, mark, user); !slices.Equal(got, want) {
		w.t.Errorf("told %v, want %v", got, want)
	}
}

func statusIn(list []proto.Presence, user proto.ID) proto.Status {
	for _, p := range list {
		if p.User.ID == user {
			return p.Status
		}
	}
	return proto.StatusOffline
}

// Alice is at both edges. Bob, who is at one of them, hears what her two sessions come to; Eve, without the intent, hears nothing; Carol, who joins
// while Alice is invisible, finds her nowhere. Alice's connection breaks and comes back, which nobody hears, then it ends: that is told five seconds late.
func TestPresence(t *testing.T) {
	w := newTown(t, plain.get(t))
	alice, _ := w.human("alice")
	bobBot, _ := w.bot("bob", true)
	eveBot, _ := w.bot("eve", true)
	bob := w.open(1, bobBot.Token, client.Options{}, as("online", watching))
	eve := w.open(0, eveBot.Token, client.Options{}, as("idle", deaf))
	w.await(bob.Gateway, 0, "Eve's presence", func(e client.Event) bool { return looks(e, eveBot.ID) == "idle" })
	mark := bob.Mark()
	id := alice.User.ID

	first := w.open(0, alice.Token, client.Options{}, as("idle", deaf))
	w.sees(bob, mark, id, "idle")
	second := w.open(1, alice.Token, client.Options{}, as("online", deaf))
	w.sees(bob, mark, id, "idle", "online")
	poses(first, "dnd")
	w.sees(bob, mark, id, "idle", "online", "dnd")
	poses(first, "invisible")
	w.sees(bob, mark, id, "idle", "online", "dnd", "online")
	poses(second, "invisible")
	all := []proto.Status{"idle", "online", "dnd", "online", "offline"}
	w.sees(bob, mark, id, all...)

	carolPerson, _ := w.human("carol")
	carol := w.open(0, carolPerson.Token, client.Options{}, as("invisible", watching))
	presences := carol.guilds[w.guild.ID].Presences
	if statusIn(presences, id) != proto.StatusOffline || statusIn(presences, bobBot.ID) != "online" || statusIn(presences, eveBot.ID) != "idle" {
		t.Errorf("Carol is shown %v", presences)
	}
	for _, s := range []*session{bob, carol} {
		from := s.Mark()
		must(t, s.Send(proto.OpRequestMembers, map[string]any{"guild_id": w.guild.ID, "user_ids": []proto.ID{id, bobBot.ID}, "presences": true, "nonce": "p"}))
		var chunk proto.GuildMembersChunk
		must(t, w.await(s.Gateway, from, "members", event("GUILD_MEMBERS_CHUNK")).Into(&chunk))
		if len(chunk.Members) != 2 || len(chunk.Presences) != 1 || chunk.Presences[0].User.ID != bobBot.ID {
			t.Errorf("the chunk has %d members and presences %v", len(chunk.Members), chunk.Presences)
		}
	}

	poses(first, "dnd")
	all = append(all, "dnd")
	w.sees(bob, mark, id, all...)
	second.Cut()
	first.Cut()
	first.Gateway = w.dial(0, client.Options{Log: first.Log})
	from := first.Mark()
	must(t, first.Resume(alice.Token, first.ready.SessionID, first.S()))
	w.await(first.Gateway, from, "RESUMED", event("RESUMED"))
	poses(first, "idle")
	all = append(all, "idle")
	w.sees(bob, mark, id, all...) // and nothing of the break
	ended := time.Now()
	must(t, first.Close(1000))
	all = append(all, "offline")
	w.sees(bob, mark, id, all...)
	for _, e := range bob.Since(mark) {
		if looks(e, id) == "offline" && e.At.After(ended) {
			if late := e.At.Sub(ended); late < 4500*time.Millisecond {
				t.Errorf("offline was told after %v, want 5 s", late)
			}
		}
	}
	if n := len(seen(carol, 0, carolPerson.User.ID)) + len(seen(bob, 0, carolPerson.User.ID)); n != 0 {
		t.Errorf("%d events tell of Carol, who is invisible", n)
	}
	if n := eve.Count(0, event("PRESENCE_UPDATE")); n != 0 || len(eve.guilds[w.guild.ID].Presences) != 0 {
		t.Errorf("Eve has not asked for presences, and got %d events and %v", n, eve.guilds[w.guild.ID].Presences)
	}
}

// An edge is killed -9: its users are offline once the cores have not heard of them for the TTL, those who are elsewhere too are not.
func TestPresenceOfKilledEdge(t *testing.T) {
	m := own(t, mesh.Options{Processes: true, Args: []string{"--presence-ttl", "4s"}})
	w := newTown(t, m)
	bobBot, _ := w.bot("bob", true)
	bob := w.open(1, bobBot.Token, client.Options{}, as("online", watching))
	ada, _ := w.bot("ada", true)
	ben, _ := w.bot("ben", true)
	w.open(0, ada.Token, client.Options{}, as("dnd", deaf))
	w.open(0, ben.Token, client.Options{}, as("dnd", deaf))
	w.open(1, ben.Token, client.Options{}, as("idle", deaf))
	for _, bot := range []client.Bot{ada, ben} {
		w.await(bob.Gateway, 0, bot.ID.String(), func(e client.Event) bool { return looks(e, bot.ID) == "dnd" })
	}
	mark := bob.Mark()
	killed := time.Now()
	must(t, m.KillRole("edge", 0))
	w.sees(bob, mark, ada.ID, "offline")
	w.sees(bob, mark, ben.ID, "idle")
	t.Logf("told %v after the kill", time.Since(killed).Round(time.Millisecond))
}
