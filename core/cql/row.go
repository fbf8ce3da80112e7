package cql

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/starling-chat/starling/proto"
)

// The body of a row is the JSON of a message in its REST form, without what its key says and without fields that are as usual: 60 bytes
// and the content, instead of 480. Fields that are not listed here are always written.
//
// Rows are read with what is usual at the time of reading: keys may be added here, together with the field, but none changed.
var (
	usualMessage = usual(`{"edited_timestamp":null,"tts":false,"mention_everyone":false,"mentions":[],"mention_roles":[],"attachments":[],
		"embeds":[],"pinned":false,"type":0,"flags":0,"components":[]}`)
	usualAuthor = usual(`{"discriminator":"0","global_name":null,"avatar":null,"bot":false,"system":false,"public_flags":0,"banner":null,
		"accent_color":null}`)
	blank = blankMessage()
)

func usual(text string) map[string]json.RawMessage {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &fields); err != nil {
		panic(err)
	}
	return fields
}

func blankMessage() (m proto.Message) {
	for _, part := range []struct {
		fields map[string]json.RawMessage
		into   any
	}{{usualMessage, &m}, {usualAuthor, &m.Author}} {
		b, err := json.Marshal(part.fields)
		if err == nil {
			err = json.Unmarshal(b, part.into)
		}
		if err != nil {
			panic(err)
		}
	}
	return m
}

// A row is a message with each field that may be as usual hidden behind one that is then left out. Fields that are not hidden are always
// written, those that messages will have one day, too.
type rowMessage struct {
	proto.Message
	ID              *proto.ID       `json:"id,omitempty"`         // in the key
	ChannelID       *proto.ID       `json:"channel_id,omitempty"` // in the key
	Author          rowAuthor       `json:"author"`
	Timestamp       *proto.Time     `json:"timestamp,omitempty"` // that of the id
	EditedTimestamp *proto.Time     `json:"edited_timestamp,omitempty"`
	TTS             bool            `json:"tts,omitempty"`
	MentionEveryone bool            `json:"mention_everyone,omitempty"`
	Mentions        []proto.User    `json:"mentions,omitempty"`
	MentionRoles    []proto.ID      `json:"mention_roles,omitempty"`
	Attachments     []proto.Nothing `json:"attachments,omitempty"`
	Embeds          []proto.Nothing `json:"embeds,omitempty"`
	Pinned          bool            `json:"pinned,omitempty"`
	Type            int             `json:"type,omitempty"`
	Flags           int             `json:"flags,omitempty"`
	Components      []proto.Nothing `json:"components,omitempty"`
}

type rowAuthor struct {
	proto.User
	Discriminator *string `json:"discriminator,omitempty"` // "0"
	GlobalName    *string `json:"global_name,omitempty"`
	Avatar        *string `json:"avatar,omitempty"`
	Bot           bool    `json:"bot,omitempty"`
	System        bool    `json:"system,omitempty"`
	PublicFlags   int     `json:"public_flags,omitempty"`
	Banner        *string `json:"banner,omitempty"`
	AccentColor   *int    `json:"accent_color,omitempty"`
}

// encodeMessage gives the body of a message's row.
func encodeMessage(m proto.Message) ([]byte, error) {
	m = m.Stored()
	u := m.Author
	r := rowMessage{Message: m, EditedTimestamp: m.EditedTimestamp, TTS: m.TTS, MentionEveryone: m.MentionEveryone, Mentions: m.Mentions,
		MentionRoles: m.MentionRoles, Attachments: m.Attachments, Embeds: m.Embeds, Pinned: m.Pinned, Type: m.Type, Flags: m.Flags,
		Components: m.Components, Author: rowAuthor{User: u, GlobalName: u.GlobalName, Avatar: u.Avatar, Bot: u.Bot, System: u.System,
			PublicFlags: u.PublicFlags, Banner: u.Banner, AccentColor: u.AccentColor}}
	if u.Discriminator != "0" {
		r.Author.Discriminator = &u.Discriminator
	}
	if !time.Time(m.Timestamp).Equal(m.ID.Time()) {
		r.Timestamp = &m.Timestamp
	}
	return json.Marshal(r)
}

func decodeMessage(channel, id proto.ID, body []byte) (proto.Message, error) {
	m := blank
	m.ChannelID, m.ID, m.Timestamp = channel, id, proto.Time(id.Time())
	if err := json.Unmarshal(body, &m); err != nil {
		return m, fmt.Errorf("message %d: %w", id, err)
	}
	return m, nil
}
