package cql

import (
	"bytes"
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

// encodeMessage gives the body of a message's row.
func encodeMessage(m proto.Message) ([]byte, error) {
	m = m.Stored()
	notNil(&m.Mentions)
	notNil(&m.MentionRoles)
	notNil(&m.Attachments)
	notNil(&m.Embeds)
	notNil(&m.Components)
	fields, err := unusual(m, usualMessage)
	if err != nil {
		return nil, err
	}
	author, err := unusual(m.Author, usualAuthor)
	if err != nil {
		return nil, err
	}
	if fields["author"], err = json.Marshal(author); err != nil {
		return nil, err
	}
	delete(fields, "id")
	delete(fields, "channel_id")
	if time.Time(m.Timestamp).Equal(m.ID.Time()) {
		delete(fields, "timestamp")
	}
	return json.Marshal(fields)
}

// unusual gives those fields of a value that are not as usual.
func unusual(v any, usual map[string]json.RawMessage) (map[string]json.RawMessage, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil {
		return nil, err
	}
	for name, value := range usual {
		if bytes.Equal(fields[name], value) {
			delete(fields, name)
		}
	}
	return fields, nil
}

// notNil makes a list that JSON writes as [], not null.
func notNil[T any](list *[]T) {
	if *list == nil {
		*list = []T{}
	}
}

func decodeMessage(channel, id proto.ID, body []byte) (proto.Message, error) {
	m := blank
	m.ChannelID, m.ID, m.Timestamp = channel, id, proto.Time(id.Time())
	if err := json.Unmarshal(body, &m); err != nil {
		return m, fmt.Errorf("message %d: %w", id, err)
	}
	return m, nil
}
