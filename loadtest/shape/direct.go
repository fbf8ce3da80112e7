package shape

import "maps"

// Objects of direct channels and of what users decide about each other.
var (
	DirectChannel = Obj{"id": ID, "type": Exactly(1), "last_message_id": Null(ID), "last_pin_timestamp": Null(Time), "flags": Int, "recipients": List(User.Shape())}
	Relationship  = Obj{"id": ID, "type": Int, "nickname": Null(Str), "user": User.Shape()}
	OwnGuild      = Obj{"id": ID, "name": Filled, "icon": Null(Str), "banner": Null(Str), "owner": Bool, "permissions": Perm, "features": List(Str)}
)

// either is one shape for objects that have the key, and another for those that do not.
func either(key string, with, without Shape) Shape {
	return func(path string, v any, tell func(string)) {
		m, _ := v.(map[string]any)
		if _, has := m[key]; has {
			with(path, v, tell)
			return
		}
		without(path, v, tell)
	}
}

func init() {
	maps.Copy(routes, map[string]Shape{
		"PATCH /users/@me":                   SelfUser.Shape(),
		"GET /users/@me/guilds":              List(OwnGuild.Shape()),
		"DELETE /users/@me/guilds/{}":        nil,
		"GET /users/@me/channels":            List(DirectChannel.Shape()),
		"POST /users/@me/channels":           DirectChannel.Shape(),
		"GET /users/@me/relationships":       List(Relationship.Shape()),
		"PUT /users/@me/relationships/{}":    nil,
		"DELETE /users/@me/relationships/{}": nil,
	})
	for _, route := range []string{"GET /channels/{}", "DELETE /channels/{}"} {
		routes[route] = either("recipients", DirectChannel.Shape(), routes[route])
	}
	for _, name := range []string{"CHANNEL_CREATE", "CHANNEL_DELETE"} {
		events[name] = either("recipients", DirectChannel.Shape(), events[name])
	}
	// In a direct channel there is no guild, and nobody is a member.
	events["MESSAGE_CREATE"] = either("guild_id", messageEvent, All(Message.Shape(), Absent("webhook_id", "member")))
	events["MESSAGE_UPDATE"] = events["MESSAGE_CREATE"]
	events["MESSAGE_DELETE"] = either("guild_id", events["MESSAGE_DELETE"], Obj{"id": ID, "channel_id": ID}.Shape())
	events["TYPING_START"] = either("guild_id", events["TYPING_START"],
		All(Obj{"channel_id": ID, "user_id": ID, "timestamp": Int}.Shape(), Absent("member")))
	events["RELATIONSHIP_ADD"] = Relationship.Shape()
	events["RELATIONSHIP_REMOVE"] = Obj{"id": ID, "type": Int}.Shape()
}
