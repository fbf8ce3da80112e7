package shape

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// events maps the names of gateway events to the shape of their d. A name that is not here is a problem: the server sends no others.
var events = map[string]Shape{
	"READY":        Ready,
	"RESUMED":      Obj{}.Shape(),
	"GUILD_CREATE": GuildCreate,
	"GUILD_UPDATE": Guild.Shape(),
	"GUILD_DELETE": Obj{"id": ID, "unavailable?": Bool}.Shape(),

	"CHANNEL_CREATE": Channel.Shape(),
	"CHANNEL_UPDATE": Channel.Shape(),
	"CHANNEL_DELETE": Channel.Shape(),

	"GUILD_ROLE_CREATE": Obj{"guild_id": ID, "role": Role.Shape()}.Shape(),
	"GUILD_ROLE_UPDATE": Obj{"guild_id": ID, "role": Role.Shape()}.Shape(),
	"GUILD_ROLE_DELETE": Obj{"guild_id": ID, "role_id": ID}.Shape(),

	"GUILD_MEMBER_ADD":    Member.With(Obj{"guild_id": ID}).Shape(),
	"GUILD_MEMBER_UPDATE": Member.With(Obj{"guild_id": ID}).Shape(),
	"GUILD_MEMBER_REMOVE": Obj{"guild_id": ID, "user": User.Shape()}.Shape(),
	"RATE_LIMITED":        Obj{"opcode": Int, "retry_after": Any, "meta": Any}.Shape(),
	"GUILD_MEMBERS_CHUNK": Obj{"guild_id": ID, "members": List(Member.Shape()), "chunk_index": Int, "chunk_count": Int,
		"not_found": List(ID), "nonce?": Str, "presences?": List(present)}.Shape(),

	"INVITE_CREATE": Obj{"code": Filled, "channel_id": ID, "guild_id": ID, "uses": Int, "max_uses": Int, "max_age": Int,
		"temporary": Bool, "created_at": Time}.Shape(),
	"INVITE_DELETE": Obj{"code": Filled, "channel_id": ID, "guild_id": ID}.Shape(),

	"MESSAGE_CREATE":      messageEvent,
	"MESSAGE_UPDATE":      messageEvent,
	"MESSAGE_DELETE":      Obj{"id": ID, "channel_id": ID, "guild_id": ID}.Shape(),
	"MESSAGE_DELETE_BULK": Obj{"ids": List(ID), "channel_id": ID, "guild_id": ID}.Shape(),
	"TYPING_START":        Obj{"channel_id": ID, "guild_id": ID, "user_id": ID, "timestamp": Int, "member": Member.Shape()}.Shape(),
	"USER_UPDATE":         SelfUser.Shape(),
	"PRESENCE_UPDATE":     presence.With(Obj{"guild_id": ID}).Shape(),
}

// Frame compares one gateway payload, {"op","d","s","t"}, with its form.
func Frame(raw []byte) []string {
	v, err := decode(raw)
	f, ok := v.(map[string]any)
	if err != nil || !ok {
		return []string{fmt.Sprintf("frame: not a JSON object: %.200s", raw)}
	}
	var problems []string
	tell := func(p string) { problems = append(problems, p) }
	op, _ := f["op"].(json.Number)
	if op == "0" {
		name, ok := f["t"].(string)
		if !ok {
			tell(fmt.Sprintf("dispatch: t is %s, want a name", short(f["t"])))
		}
		s, _ := f["s"].(json.Number)
		if n, err := strconv.ParseInt(string(s), 10, 64); err != nil || n < 1 || n >= 1<<31 {
			tell(fmt.Sprintf("%s: s is %s, want an integer from 1 to 2^31-1", name, short(f["s"])))
		}
		shape, known := events[name]
		if !known {
			tell(fmt.Sprintf("%s: an event that the server should not send", name))
			return problems
		}
		shape(name, f["d"], tell)
		return problems
	}
	for _, k := range []string{"s", "t"} {
		if f[k] != nil {
			tell(fmt.Sprintf("op %s: %s is %s, want null", op, k, short(f[k])))
		}
	}
	d := f["d"]
	switch op {
	case "1", "7", "11":
		if d != nil {
			tell(fmt.Sprintf("op %s: d is %s, want null", op, short(d)))
		}
	case "9":
		Bool("op 9: d", d, tell)
	case "10":
		Obj{"heartbeat_interval": Int}.check("op 10: d", d, tell)
	default:
		tell(fmt.Sprintf("op %s: an opcode that the server should not send", op))
	}
	return problems
}
