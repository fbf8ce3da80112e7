package chat

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	client "github.com/starling-chat/starling/client/go"
	"github.com/starling-chat/starling/proto"
)

func TestMessagesComeAndGo(t *testing.T) {
	s := newStage(t).begin()
	s.sees("Tea room", "#general", "#tea", "alice @ fake", "beginning of #general")
	s.event("MESSAGE_CREATE", message(600, 11, bob, "hello <@1> in <#12>"))
	s.sees("bob", "hello @alice in #tea")
	edited := message(600, 11, bob, "good evening")
	at := proto.Time(s.now)
	edited.EditedTimestamp = &at
	s.event("MESSAGE_UPDATE", edited)
	s.sees("good evening (edited)")
	s.event("MESSAGE_DELETE", proto.MessageDelete{ID: 600, ChannelID: 11})
	s.misses("good evening")
}

func TestUnreadAndMentions(t *testing.T) {
	s := newStage(t).begin()
	s.event("MESSAGE_CREATE", message(601, 12, bob, "one"))
	m := message(602, 12, bob, "<@1> two")
	m.Mentions = []proto.User{alice}
	s.event("MESSAGE_CREATE", m)
	s.sees("• #tea", "2 @")
	s.fake.history[12] = []client.Message{m, message(601, 12, bob, "one")}
	s.press(ctrl('g'))
	s.sees("@alice two", " new ")
	s.misses("• #tea")
}

func TestSendFailsAndIsRetriedWithTheSameNonce(t *testing.T) {
	s := newStage(t).begin()
	s.fake.fail = []error{&proto.Error{Status: 403, Message: "Missing Permissions"}}
	s.line("hello")
	s.sees("✗ not sent: Missing Permissions", "✗ #general")
	s.press(ctrl('r'))
	s.misses("not sent")
	s.sees("hello")
	if n := len(s.fake.sends); n != 2 || s.fake.sends[0].Nonce == "" || s.fake.sends[0].Nonce != s.fake.sends[1].Nonce {
		t.Errorf("sends: %+v, want two with one nonce", s.fake.sends)
	}
	s.fake.fail = []error{errors.New("gone")}
	s.m.world.channels[11].outbox = nil
	s.line("again")
	s.sees("… gone; again in 1 s")
	s.now = s.now.Add(time.Second)
	s.send(again{11, s.fake.sends[2].Nonce})
	s.misses("again in")
	s.fake.fail = []error{&proto.Error{Status: 400, Message: "bad"}}
	s.line("dropped")
	s.press(ctrl('x'))
	s.misses("dropped")
}

func TestRateLimitIsShownAndOrderHolds(t *testing.T) {
	s := newStage(t).begin()
	s.fake.fail = []error{&client.RateLimit{After: 3 * time.Second}}
	s.line("first")
	s.line("second")
	s.sees("rate limited; again in 3 s")
	if len(s.fake.sends) != 1 {
		t.Fatalf("%d sends, want 1: the second waits for the first", len(s.fake.sends))
	}
	s.now = s.now.Add(3 * time.Second)
	s.send(again{11, s.fake.sends[0].Nonce})
	if len(s.fake.sends) != 3 || s.fake.sends[1].Content != "first" || s.fake.sends[2].Content != "second" {
		t.Errorf("sends: %+v", s.fake.sends)
	}
}

// The event may come before the answer, after it, or without one: the message is there once.
func TestOwnMessageOnce(t *testing.T) {
	s := newStage(t).begin()
	s.fake.fail = []error{errors.New("answer lost")}
	s.line("unique words")
	m := message(700, 11, alice, "unique words")
	m.Nonce = []byte(`"` + s.fake.sends[0].Nonce + `"`)
	s.event("MESSAGE_CREATE", m)
	s.misses("answer lost")
	if n := strings.Count(s.screen(), "unique words"); n != 1 {
		t.Errorf("%d times on the screen:\n%s", n, s.screen())
	}
}

func TestEditReplyDelete(t *testing.T) {
	s := newStage(t).begin()
	s.event("MESSAGE_CREATE", message(600, 11, bob, "tea?"))
	s.event("MESSAGE_CREATE", message(601, 11, alice, "yes"))
	s.press(up)
	s.sees("Editing your message")
	s.line(" please")
	s.called("edit 11 601 yes please")
	s.press(tab, up) // messages: the last one, then bob's
	s.press(tea.KeyPressMsg{Code: 'r', Text: "r"})
	s.sees("replying to bob: tea?")
	s.line("gladly")
	if d := s.fake.sends[0]; d.Reference == nil || d.Reference.MessageID != 600 || d.Content != "gladly" {
		t.Errorf("sent %+v, want a reply to 600", d)
	}
	s.line("/delete")
	s.called("delete 11 1001")
}

// What tells of a pin reads as such, and is nothing to edit.
func TestPinnedNotice(t *testing.T) {
	s := newStage(t).begin()
	s.event("MESSAGE_CREATE", message(600, 11, alice, "house rules"))
	note := message(601, 11, alice, "")
	note.Type = proto.MessagePinned
	s.event("MESSAGE_CREATE", note)
	s.sees("pinned a message")
	s.press(up)
	s.line(", all of them")
	s.called("edit 11 600 house rules, all of them")
}

func TestCommands(t *testing.T) {
	s := newStage(t).begin()
	s.line("/help")
	s.sees("Commands", "/invite", "/join CODE")
	s.press(esc)
	s.line("/invite")
	s.sees("/join abc123")
	s.line("/join https://chat.example/abc9")
	s.called("join abc9")
	s.line("/guild Coffee house")
	s.called("guild Coffee house")
	s.line("/channel Green tea")
	s.called("channel 10 green-tea")
	s.line("/go tea")
	s.sees("beginning of #tea")
	s.line("/leave")
	s.sees("/leave yes")
	s.line("/frobnicate")
	s.sees("There is no /frobnicate")
	s.line("//frob")
	if d := s.fake.sends[0]; d.Content != "/frob" {
		t.Errorf("sent %q", d.Content)
	}
	s.write("/inv")
	s.sees("make a code")
	s.press(tab)
	s.sees("/invite")
}

func TestHistoryPagesBackAsOneScrolls(t *testing.T) {
	s := newStage(t)
	for i := proto.ID(200); i > 80; i-- {
		s.fake.history[11] = append(s.fake.history[11], message(i, 11, bob, fmt.Sprintf("word %d.", i)))
	}
	s.begin()
	s.sees("word 200.")
	for range 40 {
		s.press(pgup)
	}
	s.called("history 11 151")
	s.called("history 11 101")
	s.sees("word 81.", "beginning of #general")
	s.event("MESSAGE_CREATE", message(700, 11, bob, "news"))
	s.sees("word 81.", "new messages below")
	s.press(esc)
	s.sees("news")
}

func TestTypingBothWays(t *testing.T) {
	s := newStage(t).begin()
	s.event("TYPING_START", proto.TypingStart{ChannelID: 11, GuildID: 10, UserID: 2})
	s.sees("bob is typing")
	s.now = s.now.Add(11 * time.Second)
	s.send(tick(s.now))
	s.misses("typing")
	s.write("abc")
	s.now = s.now.Add(9 * time.Second)
	s.write("d")
	n := 0
	for _, c := range s.fake.calls {
		if c == "type 11" {
			n++
		}
	}
	if n != 2 {
		t.Errorf("typing told %d times, want 2", n)
	}
}

func TestBannerCountsDown(t *testing.T) {
	s := newStage(t).begin()
	pressed := false
	s.tell(reconnector(func() { pressed = true }))
	s.tell(client.Status{Phase: client.Waiting, Why: "connection refused", Until: s.now.Add(5 * time.Second), Try: 2})
	s.sees("Not connected: connection refused. Next try in 5 s")
	s.now = s.now.Add(2 * time.Second)
	s.send(tick(s.now))
	s.sees("Next try in 3 s")
	s.press(ctrl('l'))
	if !pressed {
		t.Error("ctrl+l did not reconnect")
	}
	s.tell(client.Status{Phase: client.Connecting})
	s.sees("Connecting again")
	s.tell(client.Status{Phase: client.Online, Resumed: true})
	s.misses("onnecting")
	s.misses("Not connected")
}

func TestForm(t *testing.T) {
	s := newStage(t)
	s.m.form = newForm("", "")
	s.run(s.m.form.focus())
	s.line("127.0.0.1:8080")
	s.line("mallory")
	s.line("secret words")
	s.sees("Login or password is invalid")
	s.misses("secret")
	s.press(tea.KeyPressMsg{Code: tea.KeyUp})
	for range "mallory" {
		s.press(tea.KeyPressMsg{Code: tea.KeyBackspace})
	}
	s.write("alice")
	s.press(ctrl('t'))
	s.sees("Make an account")
	s.press(enter)
	s.called("register alice")
	s.sees("Welcome, alice")
	s.tell(client.ErrLoggedOut)
	s.sees("Your login has ended")
}

// Whatever others write, the terminal gets no control character of theirs, and no line is wider than the window.
func TestHostileTextAtAnySize(t *testing.T) {
	evil := "\x1b[31mred\x1b]0;owned\x07\u009b2J \u202egnp\u202c\r\b\x7f z" + strings.Repeat("\u0301", 500) + strings.Repeat("語👩‍👩‍👧‍👦", 40) + "\u2028\xff end"
	s := newStage(t).begin()
	mallory := proto.NewUser(3, evil, false)
	s.event("GUILD_CREATE", proto.GuildCreate{Guild: proto.NewGuild(9, evil, 3), Channels: []proto.Channel{{ID: 99, GuildID: 9, Name: evil, Topic: &evil}}})
	m := message(600, 11, mallory, evil)
	s.event("MESSAGE_CREATE", m)
	s.event("MESSAGE_CREATE", message(601, 99, mallory, evil))
	s.event("TYPING_START", proto.TypingStart{ChannelID: 11, UserID: 3})
	s.fake.fail = []error{&proto.Error{Status: 400, Message: evil}}
	s.line("hello")
	s.tell(client.Status{Phase: client.Waiting, Why: evil, Until: s.now})
	for _, ch := range []string{"/go general", "/go red"} {
		s.line(ch)
		for w := 1; w < 130; w += 7 {
			for h := 1; h < 40; h += 5 {
				s.send(tea.WindowSizeMsg{Width: w, Height: h})
				v := s.m.View()
				if n := strings.Count(v.Content, "\n") + 1; n > h {
					t.Fatalf("%dx%d: %d lines", w, h, n)
				}
				for _, line := range strings.Split(v.Content, "\n") {
					if n := ansi.StringWidth(line); n > w {
						t.Fatalf("%dx%d: a line of %d cells: %q", w, h, n, line)
					}
				}
				for _, r := range ansi.Strip(v.Content) + v.WindowTitle {
					if r != '\n' && (r < 0x20 || r >= 0x7f && r < 0xa0 || turns(r)) {
						t.Fatalf("%dx%d: rune %U reached the terminal", w, h, r)
					}
				}
				if strings.Contains(v.Content, "]0;") && strings.Contains(v.Content, "\x1b]") {
					t.Fatal("an OSC of somebody else's")
				}
			}
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("\x1b[31mred\u009b\u202e\xff\x00")
	f.Fuzz(func(t *testing.T, s string) {
		c := clean(s)
		for _, r := range c {
			if r != '\n' && (r < 0x20 || r >= 0x7f && r < 0xa0 || turns(r)) {
				t.Fatalf("%q: rune %U is left", s, r)
			}
		}
		if got := clean(c); got != c {
			t.Fatalf("%q: cleaned twice: %q, once: %q", s, got, c)
		}
	})
}
