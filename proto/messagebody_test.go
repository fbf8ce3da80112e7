package proto

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// bodyMessages are messages with what might be mistaken for keys.
func bodyMessages() map[string]Message {
	trap := `","guild_id":"1","member":{"content":"x"}} \" ,"content":"`
	global := trap
	plain := Message{ID: 5 << 22, ChannelID: 7, Author: NewUser(9, "alice", false), Content: "hello", Mentions: []User{}, MentionRoles: []ID{},
		Attachments: []Nothing{}, Embeds: []Nothing{}, Components: []Nothing{}}
	traps := plain
	traps.Content, traps.Author.GlobalName, traps.Nonce = trap, &global, json.RawMessage(`"n"`)
	guild := ID(4)
	refers := plain
	refers.Type, refers.Reference = MessageReply, &MessageReference{ChannelID: 7, GuildID: guild, MessageID: 3}
	reply := refers
	reply.Referenced = Referenced{Known: true, Message: &plain}
	gone := refers
	gone.Referenced = Referenced{Known: true}
	quiet := plain
	quiet.Content = ""
	return map[string]Message{"plain": plain, "traps": traps, "refers": refers, "reply": reply, "reply to one gone": gone, "quiet": quiet}
}

func TestBodies(t *testing.T) {
	nick := `"},"guild_id":"8"}`
	for name, m := range bodyMessages() {
		for _, member := range []*Member{nil, {Nick: &nick, Roles: []ID{1}}} {
			rest := mustJSON(t, m.REST())
			var part []byte
			if member != nil {
				part = mustJSON(t, *member)
			}
			body := EventBody(rest, 12, part)
			m.GuildID, m.Member = new(ID), member
			*m.GuildID = 12
			if got, want := decoded(t, body), decoded(t, mustJSON(t, m)); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: event: got %s", name, body)
			}
			stored, ok := StoredBody(body)
			if want := !strings.HasPrefix(name, "reply"); ok != want {
				t.Errorf("%s: stored: got %v, want %v", name, ok, want)
			}
			if ok && !reflect.DeepEqual(decoded(t, stored), decoded(t, mustJSON(t, m.Stored()))) {
				t.Errorf("%s: stored: got %s", name, stored)
			}
			bare, ok := WithoutContent(body)
			if want := !strings.HasPrefix(name, "reply"); ok != want {
				t.Errorf("%s: without content: got %v, want %v", name, ok, want)
			}
			m.Content = ""
			if ok && !reflect.DeepEqual(decoded(t, bare), decoded(t, mustJSON(t, m))) {
				t.Errorf("%s: without content: got %s", name, bare)
			}
		}
	}
}

// Bodies of another making are left to those who decode them.
func TestStoredBodyOfOthers(t *testing.T) {
	for name, m := range bodyMessages() {
		for _, body := range [][]byte{mustJSON(t, m), func() []byte { m.GuildID = &m.ID; return mustJSON(t, m) }()} {
			if stored, ok := StoredBody(body); ok {
				t.Errorf("%s: cut %s to %s", name, body, stored)
			}
		}
	}
	whole := EventBody(mustJSON(t, bodyMessages()["traps"].REST()), 12, []byte(`{"nick":"x"}`))
	for n := range whole {
		StoredBody(whole[:n])
		WithoutContent(whole[:n])
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decoded(t *testing.T, b []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	return v
}
