package chat

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	client "github.com/starling-chat/starling/client/go"
	"github.com/starling-chat/starling/proto"
)

// fake is a server of one guild, 10, with channels general 11 and tea 12; alice, 1, is who uses the program, bob is 2.
type fake struct {
	mu      sync.Mutex
	sends   []client.Draft
	fail    []error // of the next sends
	calls   []string
	history map[proto.ID][]client.Message // newest first
	next    proto.ID
}

var alice, bob = proto.NewUser(1, "alice", false), proto.NewUser(2, "bob", false)

func (f *fake) note(format string, a ...any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, fmt.Sprintf(format, a...))
	return nil
}

func (f *fake) URL() string { return "http://fake" }
func (f *fake) Register(_ context.Context, user, _ string) (proto.SelfUser, error) {
	return alice.Self(), f.note("register %s", user)
}
func (f *fake) LogIn(_ context.Context, user, _ string) (proto.SelfUser, error) {
	if user == "mallory" {
		return proto.SelfUser{}, &proto.Error{Status: 400, Message: "Login or password is invalid."}
	}
	return alice.Self(), f.note("login %s", user)
}
func (f *fake) LogOut(context.Context) error { return f.note("logout") }
func (f *fake) CreateGuild(_ context.Context, name string) (proto.Guild, error) {
	return proto.NewGuild(20, name, 1), f.note("guild %s", name)
}
func (f *fake) LeaveGuild(_ context.Context, g proto.ID) error { return f.note("leave %d", g) }
func (f *fake) CreateChannel(_ context.Context, g proto.ID, name string) (proto.Channel, error) {
	return proto.Channel{ID: 13, GuildID: g, Name: name}, f.note("channel %d %s", g, name)
}
func (f *fake) CreateInvite(_ context.Context, ch proto.ID, _ int) (proto.Invite, error) {
	return proto.Invite{Code: "abc123"}, f.note("invite %d", ch)
}
func (f *fake) Join(_ context.Context, code string) (proto.Invite, error) {
	return proto.Invite{Code: code, Guild: proto.InviteGuild{ID: 20, Name: "Other"}}, f.note("join %s", code)
}
func (f *fake) Send(_ context.Context, ch proto.ID, d client.Draft) (client.Message, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sends = append(f.sends, d)
	if len(f.fail) > 0 {
		err := f.fail[0]
		f.fail = f.fail[1:]
		return client.Message{}, err
	}
	f.next++
	return message(f.next, ch, alice, d.Content), nil
}
func (f *fake) Edit(_ context.Context, ch, id proto.ID, text string) (client.Message, error) {
	return client.Message{}, f.note("edit %d %d %s", ch, id, text)
}
func (f *fake) Delete(_ context.Context, ch, id proto.ID) error {
	return f.note("delete %d %d", ch, id)
}
func (f *fake) Type(_ context.Context, ch proto.ID) error { return f.note("type %d", ch) }
func (f *fake) History(_ context.Context, ch, before proto.ID, n int) ([]client.Message, error) {
	f.note("history %d %d", ch, before)
	var out []client.Message
	for _, m := range f.history[ch] {
		if (before == 0 || m.ID < before) && len(out) < n {
			out = append(out, m)
		}
	}
	return out, nil
}

func message(id, ch proto.ID, from proto.User, text string) client.Message {
	return client.Message{Message: proto.Message{ID: id, ChannelID: ch, Author: from, Content: text,
		Timestamp: proto.Time(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).Add(time.Duration(id) * time.Second))}}
}

// A stage runs a model without a terminal: commands run at once, those that wait for time or the feed are kept.
type stage struct {
	t    *testing.T
	m    *model
	fake *fake
	now  time.Time
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, fake: &fake{history: map[proto.ID][]client.Message{}, next: 1000}, now: time.Date(2026, 11, 23, 12, 30, 0, 0, time.UTC)}
	s.m = newModel(t.Context(), func(string) string { return "" }, func(string, string) (api, error) { return s.fake, nil },
		func(context.Context, api, *feed) {})
	s.m.clock = func() time.Time { return s.now }
	return s
}

// begin logs alice in and tells the guild.
func (s *stage) begin() *stage {
	s.t.Helper()
	s.m.now = s.now
	s.run(s.m.enter(s.fake, "alice"))
	s.send(tea.WindowSizeMsg{Width: 80, Height: 24})
	s.tell(client.Status{Phase: client.Online})
	s.event("READY", map[string]any{"user": alice, "guilds": []any{map[string]any{"id": "10"}}})
	last := proto.ID(500)
	s.event("GUILD_CREATE", proto.GuildCreate{Guild: proto.NewGuild(10, "Tea room", 1), Members: []proto.Member{{User: &alice}, {User: &bob}},
		Channels: []proto.Channel{{ID: 11, GuildID: 10, Name: "general", LastMessageID: &last}, {ID: 12, GuildID: 10, Name: "tea", Position: 1}}})
	return s
}

func (s *stage) send(msg tea.Msg) {
	s.t.Helper()
	_, cmd := s.m.Update(msg)
	s.run(cmd)
}

// run runs a command and all that follow from it; one that does not answer at once is a timer or the feed and is left alone.
func (s *stage) run(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	answer := make(chan tea.Msg, 1)
	go func() { answer <- cmd() }()
	select {
	case msg := <-answer:
		if list, ok := msg.(tea.BatchMsg); ok {
			for _, c := range list {
				s.run(c)
			}
			return
		}
		switch msg.(type) {
		case page, sent, done, loggedIn, again:
			s.send(msg)
		}
	case <-time.After(20 * time.Millisecond):
	}
}

func (s *stage) tell(e any) { s.t.Helper(); s.send(batch{s.m.feed, []any{e}}) }

func (s *stage) event(name string, d any) {
	s.t.Helper()
	b, err := json.Marshal(d)
	if err != nil {
		s.t.Fatal(err)
	}
	s.tell(client.Dispatch{Type: name, Data: b})
}

func (s *stage) write(text string) {
	s.t.Helper()
	for _, r := range text {
		s.send(tea.KeyPressMsg{Code: r, Text: string(r)})
	}
}

func (s *stage) press(keys ...tea.KeyPressMsg) {
	s.t.Helper()
	for _, k := range keys {
		s.send(k)
	}
}

func (s *stage) line(text string) { s.t.Helper(); s.write(text); s.press(enter) }

var (
	enter = tea.KeyPressMsg{Code: tea.KeyEnter}
	up    = tea.KeyPressMsg{Code: tea.KeyUp}
	esc   = tea.KeyPressMsg{Code: tea.KeyEscape}
	tab   = tea.KeyPressMsg{Code: tea.KeyTab}
	pgup  = tea.KeyPressMsg{Code: tea.KeyPgUp}
)

func ctrl(r rune) tea.KeyPressMsg { return tea.KeyPressMsg{Code: r, Mod: tea.ModCtrl} }

func (s *stage) screen() string { return ansi.Strip(s.m.View().Content) }

func (s *stage) sees(want ...string) {
	s.t.Helper()
	for _, w := range want {
		if !strings.Contains(s.screen(), w) {
			s.t.Errorf("no %q on the screen:\n%s", w, s.screen())
		}
	}
}

func (s *stage) misses(not string) {
	s.t.Helper()
	if strings.Contains(s.screen(), not) {
		s.t.Errorf("%q is on the screen:\n%s", not, s.screen())
	}
}

func (s *stage) called(want string) {
	s.t.Helper()
	if !strings.Contains(strings.Join(s.fake.calls, "\n")+"\n", want+"\n") {
		s.t.Errorf("no call %q in %q", want, s.fake.calls)
	}
}
