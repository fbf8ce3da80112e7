package loadtest

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bwmarrin/discordgo"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

// complaints are what discordgo logs at the level of warnings and above, and every event that its state could not take. Its logger is one
// for all sessions.
var complaints struct {
	sync.Mutex
	list []string
}

var listen = sync.OnceFunc(func() {
	discordgo.Logger = func(level, _ int, format string, a ...any) {
		text := fmt.Sprintf(format, a...)
		if level <= discordgo.LogWarning || strings.Contains(text, "error dispatching internal event") {
			complaints.Lock()
			complaints.list = append(complaints.list, text)
			complaints.Unlock()
		}
	}
})

// quiet fails the test for whatever discordgo complains of until its end.
func quiet(t *testing.T) {
	listen()
	complaints.Lock()
	complaints.list = nil
	complaints.Unlock()
	t.Cleanup(func() {
		complaints.Lock()
		defer complaints.Unlock()
		for _, text := range complaints.list {
			t.Errorf("discordgo complains: %s", text)
		}
	})
}

// allIntents are those of the library's caches, and all that the stories listen for.
const allIntents = client.DefaultIntents | proto.IntentGuildModeration | proto.IntentGuildInvites | proto.IntentGuildReactions |
	proto.IntentDirectMessages | int64(discordgo.IntentDirectMessageReactions)

// watcher makes a gopher whose state is watched: every intent, its log at the finest level, a cache of messages.
func (w *town) watcher(edge int, bot client.Bot) *gopher {
	w.t.Helper()
	g := w.gopherWith(edge, bot, func(g *gopher) {
		g.LogLevel = discordgo.LogDebug
		g.State.MaxMessageCount = 1000
		g.Identify.Intents = discordgo.Intent(allIntents)
		g.AddHandler(func(s *discordgo.Session, _ *discordgo.Event) { g.hold(s.State) })
	})
	g.expect(0, "GUILD_CREATE", about("GUILD_CREATE", func(c proto.GuildCreate) bool { return c.ID == w.guild.ID }))
	return g
}

// A view is what two copies of a guild are compared by: a line about each thing.
type view map[string]string

// A holding is what a state holds: guilds, and the messages of channels.
type holding struct {
	guilds   map[string]view
	messages map[string]view
}

// hold notes what the session's state holds. discordgo writes some of it without its lock, so only the goroutine that reads the socket may look.
func (g *gopher) hold(s *discordgo.State) {
	now := holding{map[string]view{}, map[string]view{}}
	s.RLock()
	channels := slices.Clone(s.PrivateChannels)
	for _, guild := range s.Guilds {
		now.guilds[guild.ID] = viewOf(guild)
		channels = append(channels, guild.Channels...)
	}
	for _, ch := range channels {
		now.messages[ch.ID] = messagesOf(ch.Messages)
	}
	s.RUnlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = now
	close(g.moved)
	g.moved = make(chan struct{})
}

// holds is what the state held after the last event, and a channel that is closed after the next.
func (g *gopher) holds() (holding, <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.held, g.moved
}

// messagesOf holds what discordgo keeps up to date of messages: neither pins nor reactions.
func messagesOf(list []*discordgo.Message) view {
	v := view{}
	for _, m := range list {
		var names []string
		for _, u := range m.Mentions {
			names = append(names, u.ID)
		}
		slices.Sort(names)
		v["message "+m.ID] = fmt.Sprintf("%q by %s type %d edited %s mentions %v", m.Content, m.Author.ID, m.Type, until(m.EditedTimestamp), names)
	}
	return v
}

// viewOf holds what discordgo keeps up to date: neither last messages nor last pins.
func viewOf(g *discordgo.Guild) view {
	v := view{"guild": fmt.Sprintf("%q %q owner %s icon %q level %d members %d", g.Name, g.Description, g.OwnerID, g.Icon, g.VerificationLevel, g.MemberCount)}
	for _, ch := range g.Channels {
		var over []string
		for _, o := range ch.PermissionOverwrites {
			over = append(over, fmt.Sprint(*o))
		}
		slices.Sort(over)
		v["channel "+ch.ID] = fmt.Sprintf("%d %q %q at %d in %q nsfw %t slow %d %v", ch.Type, ch.Name, ch.Topic, ch.Position, ch.ParentID, ch.NSFW,
			ch.RateLimitPerUser, over)
	}
	roles := map[string]bool{}
	for _, r := range g.Roles {
		roles[r.ID] = true
		v["role "+r.ID] = fmt.Sprintf("%q at %d color %x hoist %t mentionable %t may %d", r.Name, r.Position, r.Color, r.Hoist, r.Mentionable, r.Permissions)
	}
	for _, m := range g.Members {
		list := slices.DeleteFunc(slices.Sorted(slices.Values(m.Roles)), func(id string) bool { return !roles[id] })
		v["member "+m.User.ID] = fmt.Sprintf("%q %q %q bot %t roles %v since %v silent until %v", m.User.Username, m.User.GlobalName, m.Nick, m.User.Bot, list,
			m.JoinedAt.UTC(), until(m.CommunicationDisabledUntil))
	}
	return v
}

func until(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

// told is the guild as REST tells the same account, by discordgo's own calls.
func (g *gopher) told(guild string) view {
	g.w.t.Helper()
	all := take[*discordgo.Guild](g.w.t)(g.Guild(guild))
	all.Channels = take[[]*discordgo.Channel](g.w.t)(g.GuildChannels(guild))
	all.Members = take[[]*discordgo.Member](g.w.t)(g.GuildMembers(guild, "", 1000))
	all.MemberCount = len(all.Members)
	return viewOf(all)
}

// agree waits until the state of each session holds of a guild what REST tells.
func agree(guild, when string, gophers ...*gopher) {
	for _, g := range gophers {
		g.w.t.Helper()
		g.agrees(when, func() view { return g.told(guild) }, func(h holding) view { return h.guilds[guild] })
	}
}

// agreeOn does the same of a channel's messages, all of which the sessions have followed.
func agreeOn(channel, when string, gophers ...*gopher) {
	for _, g := range gophers {
		g.w.t.Helper()
		g.agrees(when, func() view {
			return messagesOf(take[[]*discordgo.Message](g.w.t)(g.ChannelMessages(channel, 100, "", "", "")))
		}, func(h holding) view { return h.messages[channel] })
	}
}

func (g *gopher) agrees(when string, told func() view, held func(holding) view) {
	g.w.t.Helper()
	ctx := within(g.w.t, patience)
	want := told()
	for {
		now, more := g.holds()
		got := held(now)
		if reflect.DeepEqual(got, want) {
			return
		}
		select {
		case <-more:
		case <-ctx.Done():
			g.w.t.Fatalf("%s: the state of %s is not what REST tells:\n%s", when, g.bot.User.Username, unlike(got, want))
		}
	}
}

func unlike(got, want view) string {
	var out []string
	keys := maps.Clone(got)
	maps.Copy(keys, want)
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if got[k] != want[k] {
			out = append(out, fmt.Sprintf("%s: state %s, REST %s", k, got[k], want[k]))
		}
	}
	return strings.Join(out, "\n")
}

// refuses wants a call of discordgo to fail with a status and a code of the API.
func refuses(t *testing.T, err error, want *proto.Error) {
	t.Helper()
	got, ok := err.(*discordgo.RESTError)
	if !ok || got.Message == nil || got.Response.StatusCode != want.Status || got.Message.Code != want.Code {
		t.Errorf("got %v, want %v", err, want)
	}
}
