package proto

import "bytes"

// The JSON of a message is most of what it costs, so it is made once: the body of an event is what REST shows with guild and member behind
// it, and each form is cut from another.
var (
	guildTail  = []byte(`,"guild_id":"`)
	memberTail = []byte(`,"member":{`)
	contentKey = []byte(`,"content":"`)
	nested     = [][]byte{[]byte(`"referenced_message":`), []byte(`"reactions":`)}
)

// EventBody makes the body of an event of what REST shows of a message, and the JSON of its author's membership, nil for none.
func EventBody(rest []byte, guild ID, member []byte) []byte {
	b := make([]byte, 0, len(rest)+len(guildTail)+len(member)+40)
	b = append(append(b, rest[:len(rest)-1]...), guildTail...)
	b = append(append(b, guild.String()...), '"')
	if member != nil {
		b = append(append(b, memberTail[:len(memberTail)-1]...), member...)
	}
	return append(b, '}')
}

// StoredBody cuts from the body of an event what stores keep of a message; false if it was not made by EventBody, or holds what has to be
// taken out of its middle. A key cannot be mistaken: within text a quote is escaped.
func StoredBody(body []byte) ([]byte, bool) {
	at := bytes.LastIndex(body, guildTail)
	if at < 0 {
		return nil, false
	}
	rest := bytes.TrimLeft(body[at+len(guildTail):], "0123456789")
	if len(rest) < 2 || rest[0] != '"' || rest[1] != '}' && !bytes.HasPrefix(rest[1:], memberTail) {
		return nil, false
	}
	for _, key := range nested {
		if bytes.Contains(body[:at], key) {
			return nil, false
		}
	}
	return append(append(make([]byte, 0, at+1), body[:at]...), '}'), true
}

// WithoutContent is the JSON of a message with its own content empty; false if it has none, or if it answers a message, which has content, too.
func WithoutContent(body []byte) ([]byte, bool) {
	at := bytes.Index(body, contentKey)
	if at < 0 || bytes.Contains(body, nested[0]) {
		return nil, false
	}
	at += len(contentKey)
	for end := at; end < len(body); end++ {
		switch body[end] {
		case '\\':
			end++
		case '"':
			return append(append(make([]byte, 0, len(body)-(end-at)), body[:at]...), body[end:]...), true
		}
	}
	return nil, false
}
