package loadtest

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/bwmarrin/discordgo"
	"github.com/gorilla/websocket"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/loadtest/shape"
	"github.com/starling-chat/starling/proto"
)

// somewhere is the host of discordgo's package-wide endpoints; each session's HTTP client turns it into the edge it shall use.
const somewhere = "http://starling.invalid/api/v10/"

var endpoints = sync.OnceFunc(func() {
	discordgo.APIVersion = "10"
	discordgo.EndpointAPI = somewhere
	discordgo.EndpointGuilds = somewhere + "guilds/"
	discordgo.EndpointChannels = somewhere + "channels/"
	discordgo.EndpointUsers = somewhere + "users/"
	discordgo.EndpointGateway = somewhere + "gateway"
	discordgo.EndpointGatewayBot = somewhere + "gateway/bot"
	discordgo.EndpointWebhooks = somewhere + "webhooks/"
})

// A gopher is a discordgo session at one edge: its events in a log, its sockets to be cut.
type gopher struct {
	*discordgo.Session
	*client.Log
	w       *town
	bot     client.Bot
	limited atomic.Int64 // 429s that discordgo met

	mu    sync.Mutex
	conn  net.Conn      // the last socket
	held  holding       // what the state held after the last event, if it is watched
	moved chan struct{} // closed and replaced with held
}

type toEdge struct {
	http.RoundTripper
	addr string
}

func (e toEdge) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Host = e.addr
	return e.RoundTripper.RoundTrip(r)
}

func (w *town) gopher(edge int, bot client.Bot) *gopher { return w.gopherWith(edge, bot, nil) }

// gopherWith has configure change the session before it connects.
func (w *town) gopherWith(edge int, bot client.Bot, configure func(*gopher)) *gopher {
	w.t.Helper()
	return w.gopherAt(w.m.Addr(edge), bot, configure)
}

func (w *town) gopherAt(addr string, bot client.Bot, configure func(*gopher)) *gopher {
	w.t.Helper()
	endpoints()
	s := take[*discordgo.Session](w.t)(discordgo.New("Bot " + bot.Token))
	g := &gopher{Session: s, Log: client.NewLog(w.tell), w: w, bot: bot, moved: make(chan struct{})}
	tr := &http.Transport{}
	s.Client = &http.Client{Transport: toEdge{tr, addr}}
	s.Dialer = &websocket.Dialer{NetDial: func(network, addr string) (net.Conn, error) {
		c, err := net.Dial(network, addr)
		g.mu.Lock()
		g.conn = c
		g.mu.Unlock()
		return c, err
	}}
	s.SyncEvents = true
	s.Identify.Intents = discordgo.Intent(client.DefaultIntents)
	s.AddHandler(func(_ *discordgo.Session, e *discordgo.Event) {
		raw, _ := json.Marshal(map[string]any{"op": e.Operation, "s": e.Sequence, "t": e.Type, "d": e.RawData})
		for _, p := range shape.Frame(raw) {
			w.tell(p)
		}
		g.Add(client.Event{Op: e.Operation, S: e.Sequence, T: e.Type, D: e.RawData, At: time.Now()})
	})
	s.AddHandler(func(_ *discordgo.Session, _ *discordgo.RateLimit) { g.limited.Add(1) })
	if configure != nil {
		configure(g)
	}
	must(w.t, s.Open())
	w.t.Cleanup(func() {
		s.Lock()
		s.ShouldReconnectOnError = false
		s.Unlock()
		s.Close()
		tr.CloseIdleConnections()
	})
	return g
}

func (g *gopher) expect(mark int, what string, match func(client.Event) bool) client.Event {
	g.w.t.Helper()
	e, err := g.Await(within(g.w.t, patience), mark, match)
	if err != nil {
		g.w.t.Fatalf("discordgo: %s: %v; seen %v", what, err, g.Since(mark))
	}
	return e
}

// cut breaks the TCP connection; discordgo comes back by itself.
func (g *gopher) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t, ok := g.conn.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	g.conn.Close()
}

// forget makes discordgo's next RESUME name a session that nobody knows.
func (g *gopher) forget() {
	g.Lock()
	defer g.Unlock()
	f := reflect.ValueOf(g.Session).Elem().FieldByName("sessionID")
	*(*string)(unsafe.Pointer(f.UnsafeAddr())) = "nobody-knows-this-one"
}

func (g *gopher) say(channel proto.ID, text string) *discordgo.Message {
	g.w.t.Helper()
	return take[*discordgo.Message](g.w.t)(g.ChannelMessageSend(channel.String(), text))
}

func saysID(id string) func(client.Event) bool {
	return about("MESSAGE_CREATE", func(m proto.Message) bool { return m.ID.String() == id })
}

// Two unmodified discordgo sessions on two edges live a day of chat.
func TestDiscordgo(t *testing.T) {
	w := newTown(t, plain.get(t))
	ctx := within(t, 6*patience)
	annBot, _ := w.bot("ann", true)
	benBot, _ := w.bot("ben", true)
	ann, ben := w.gopher(0, annBot), w.gopher(1, benBot)

	// READY with guild and channels.
	for _, g := range []*gopher{ann, ben} {
		g.expect(0, "GUILD_CREATE", about("GUILD_CREATE", func(c proto.GuildCreate) bool { return c.ID == w.guild.ID }))
		guild := take[*discordgo.Guild](t)(g.State.Guild(w.guild.ID.String()))
		if len(guild.Channels) == 0 || guild.Unavailable || g.State.User.ID != g.bot.ID.String() {
			t.Errorf("state: guild %+v, user %s", guild, g.State.User.ID)
		}
		if _, err := g.State.Channel(w.general.String()); err != nil {
			t.Errorf("channel in state: %v", err)
		}
	}

	// Across edges both ways, to the sender as well.
	for i, pair := range [][2]*gopher{{ann, ben}, {ben, ann}} {
		m := pair[0].say(w.general, fmt.Sprint("hello from ", i))
		for _, g := range pair {
			g.expect(0, "message", saysID(m.ID))
		}
	}

	// History, edit, delete, typing.
	list := take[[]*discordgo.Message](t)(ben.ChannelMessages(w.general.String(), 50, "", "", ""))
	if len(list) != 2 || list[0].Content != "hello from 1" || list[1].Author.ID != annBot.ID.String() {
		t.Errorf("history: %+v", list)
	}
	if edited := take[*discordgo.Message](t)(ann.ChannelMessageEdit(w.general.String(), list[1].ID, "edited")); edited.EditedTimestamp == nil {
		t.Error("an edited message without edited_timestamp")
	}
	ben.expect(0, "edit", about("MESSAGE_UPDATE", func(m proto.Message) bool { return m.Content == "edited" && m.ID.String() == list[1].ID }))
	must(t, ann.ChannelTyping(w.general.String()))
	ben.expect(0, "typing", about("TYPING_START", func(e proto.TypingStart) bool { return e.UserID == annBot.ID }))
	must(t, ann.ChannelMessageDelete(w.general.String(), list[1].ID))
	ben.expect(0, "delete", about("MESSAGE_DELETE", func(e proto.MessageDelete) bool { return e.ID.String() == list[1].ID }))

	// Members by op 8, whose guild_id discordgo sends as a list.
	must(t, ann.RequestGuildMembers(w.guild.ID.String(), "", 0, "here", false))
	ann.expect(0, "members", about("GUILD_MEMBERS_CHUNK", func(c proto.GuildMembersChunk) bool { return len(c.Members) == 3 && *c.Nonce == "here" }))

	// A channel is hidden at once.
	square := take[proto.Channel](t)(w.owner.Channel(ctx, w.guild.ID, "square")).ID
	must(t, w.owner.Overwrite(ctx, square, proto.Overwrite{ID: benBot.ID, Type: proto.OverwriteMember, Deny: proto.PermViewChannel}))
	ben.expect(0, "CHANNEL_DELETE", about("CHANNEL_DELETE", func(c proto.Channel) bool { return c.ID == square }))
	secret := ann.say(square, "secret")
	open := ann.say(w.general, "open")
	ann.expect(0, "secret", saysID(secret.ID))
	ben.expect(0, "open", saysID(open.ID))
	if ben.Count(0, saysID(secret.ID)) != 0 {
		t.Error("a message of a hidden channel arrived")
	}

	// A cut socket resumes: nothing lost, nothing doubled.
	start := ben.Mark()
	var sent []string
	for round := range 2 {
		for range 5 {
			sent = append(sent, ann.say(w.general, fmt.Sprint("before the cut ", round)).ID)
		}
		mark := ben.Mark()
		ben.cut()
		for range 5 {
			sent = append(sent, ann.say(w.general, fmt.Sprint("while away ", round)).ID)
		}
		ben.expect(mark, "RESUMED", event("RESUMED"))
	}
	sent = append(sent, ann.say(w.general, "back").ID)
	ben.expect(start, "the last message", saysID(sent[len(sent)-1]))
	inOrder(t, ben.Since(start), sent)

	// A session that nobody knows: op 9, and IDENTIFY on the same socket.
	mark := ben.Mark()
	ben.forget()
	ben.cut()
	ben.expect(mark, "READY after op 9", event("READY"))
	ben.expect(mark, "GUILD_CREATE after op 9", event("GUILD_CREATE"))
	ben.expect(mark, "message after op 9", saysID(ann.say(w.general, "anew").ID))
	if got := ben.Count(mark, event("RESUMED")); got != 0 {
		t.Errorf("an unknown session was resumed")
	}
}

// inOrder wants the messages that events hold to be exactly those, in order.
func inOrder(t *testing.T, events []client.Event, want []string) {
	t.Helper()
	var got []string
	for _, e := range events {
		var m proto.Message
		if e.T == "MESSAGE_CREATE" && e.Into(&m) == nil {
			got = append(got, m.ID.String())
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("messages: got %d %v, want %d %v", len(got), got, len(want), want)
	}
}

// Two sessions of one bot do not know of each other's sends, so discordgo meets 429s, waits and repeats: every message is there once.
func TestDiscordgoRateLimit(t *testing.T) {
	w := newTown(t, limited.get(t))
	bot, _ := w.bot("lima", true)
	a, b := w.gopher(0, bot), w.gopher(1, bot)
	var wg sync.WaitGroup
	for i, g := range []*gopher{a, b} {
		wg.Go(func() {
			for n := range 5 {
				if _, err := g.ChannelMessageSend(w.general.String(), fmt.Sprint(i, " ", n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if a.limited.Load()+b.limited.Load() == 0 {
		t.Error("10 sends in a moment and no 429")
	}
	seen := map[string]int{}
	for _, m := range take[[]*discordgo.Message](t)(a.ChannelMessages(w.general.String(), 100, "", "", "")) {
		seen[m.Content]++
	}
	for i := range 2 {
		for n := range 5 {
			if text := fmt.Sprint(i, " ", n); seen[text] != 1 {
				t.Errorf("message %q is there %d times, want 1", text, seen[text])
			}
		}
	}
}
