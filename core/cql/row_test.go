package cql

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/starling-chat/starling/proto"
)

func TestRow(t *testing.T) {
	at := proto.ID(4000*24*60*60*1000)<<22 | 7<<12 | 3
	name, edited, guild := "Alice!", proto.Time(at.Time().Add(time.Hour)), proto.ID(9)
	plain := proto.Message{ID: at, ChannelID: 8, Author: proto.NewUser(5, "alice", false), Content: "hello", Timestamp: proto.Time(at.Time()),
		Mentions: []proto.User{}, MentionRoles: []proto.ID{}, Attachments: []proto.Nothing{}, Embeds: []proto.Nothing{},
		Components: []proto.Nothing{}}
	full := plain
	full.Author.GlobalName, full.Author.Bot, full.Author.PublicFlags = &name, true, 64
	full.Content, full.Timestamp, full.EditedTimestamp = "", proto.Time(at.Time().Add(time.Microsecond)), &edited
	full.TTS, full.MentionEveryone, full.Pinned, full.Type, full.Flags = true, true, true, proto.MessageReply, 4
	full.Mentions, full.MentionRoles = []proto.User{proto.NewUser(6, "bob", true)}, []proto.ID{10}
	full.Nonce = json.RawMessage(`"x"`)
	for _, m := range []proto.Message{plain, full} {
		sent := m
		sent.GuildID, sent.Member = &guild, &proto.Member{}
		if len(m.Mentions) == 0 {
			sent.Mentions = nil
		}
		body, err := encodeMessage(sent)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeMessage(8, at, body)
		if err != nil {
			t.Fatal(err)
		}
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(m)
		if string(a) != string(b) {
			t.Errorf("got  %s\nwant %s", a, b)
		}
		t.Logf("%d bytes of %d: %s", len(body), len(b), body)
	}
}

// Every field that is usually as usual is hidden in a row, and comes back.
func TestUsualFields(t *testing.T) {
	for _, part := range []struct {
		usual  map[string]json.RawMessage
		row    any
		hidden []string
	}{{usualMessage, rowMessage{}, []string{"id", "channel_id", "timestamp", "author"}}, {usualAuthor, rowAuthor{}, nil}} {
		typ := reflect.TypeOf(part.row)
		own := map[string]bool{}
		for i := 1; i < typ.NumField(); i++ { // the first is embedded
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			own[name] = true
			if _, ok := part.usual[name]; !ok && !slices.Contains(part.hidden, name) {
				t.Errorf("%v leaves out %s, and nothing says what it usually is", typ, name)
			}
		}
		for name := range part.usual {
			if !own[name] {
				t.Errorf("%v always writes %s", typ, name)
			}
		}
	}
}

// Rows that were written long ago are read as they were meant.
func TestOldRow(t *testing.T) {
	m, err := decodeMessage(8, 9, []byte(`{"author":{"id":"5","username":"alice"},"content":"hello"}`))
	if err != nil {
		t.Fatal(err)
	}
	got, _ := json.Marshal(m)
	want := `{"id":"9","channel_id":"8","author":{"id":"5","username":"alice","discriminator":"0","global_name":null,"avatar":null,"bot":false,` +
		`"system":false,"public_flags":0,"banner":null,"accent_color":null},"content":"hello","timestamp":"2015-01-01T00:00:00.000000+00:00",` +
		`"edited_timestamp":null,"tts":false,"mention_everyone":false,"mentions":[],"mention_roles":[],"attachments":[],"embeds":[],` +
		`"pinned":false,"type":0,"flags":0,"components":[]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func BenchmarkRow(b *testing.B) {
	m := proto.Message{ID: 1 << 60, ChannelID: 8, Author: proto.NewUser(5, "alice", false), Content: "hello", Timestamp: proto.Time(proto.ID(1 << 60).Time())}
	body, err := encodeMessage(m)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = encodeMessage(m)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = decodeMessage(8, m.ID, body)
		}
	})
}
