package shape

// Reactions, pins and replies.
var (
	emoji    = Obj{"id": Null(ID), "name": Filled}
	reaction = Obj{"emoji": emoji.Shape(), "count": Int, "count_details": Obj{"burst": Int, "normal": Int}.Shape(), "burst_colors": empty,
		"me": Bool, "me_burst": Bool}
	reference = Obj{"type": Int, "message_id": ID, "channel_id": ID, "guild_id?": ID}

	// referenced is what a reply answers, null when it is gone.
	referenced = Null(Obj{"id": ID, "channel_id": ID, "author": User.Shape(), "content": Str, "timestamp": Time,
		"edited_timestamp": Null(Time), "mentions": List(User.Shape()), "mention_roles": List(ID), "pinned": Bool, "type": Int}.Shape())

	reactionAbout = Obj{"channel_id": ID, "message_id": ID, "guild_id?": ID}
	reactionOf    = reactionAbout.With(Obj{"user_id": ID, "emoji": emoji.Shape(), "burst": Exactly(false), "type": Exactly(0)})
)

func init() {
	events["MESSAGE_REACTION_ADD"] = reactionOf.With(Obj{"member?": Null(Member.Shape()), "message_author_id": ID}).Shape()
	events["MESSAGE_REACTION_REMOVE"] = reactionOf.Shape()
	events["MESSAGE_REACTION_REMOVE_ALL"] = reactionAbout.Shape()
	events["MESSAGE_REACTION_REMOVE_EMOJI"] = reactionAbout.With(Obj{"emoji": emoji.Shape()}).Shape()
	events["CHANNEL_PINS_UPDATE"] = Obj{"channel_id": ID, "guild_id?": ID, "last_pin_timestamp": Null(Time)}.Shape()

	const message = " /channels/{}/messages/{}"
	for route, s := range map[string]Shape{
		"GET /channels/{}/pins":                 List(Message.Shape()),
		"PUT /channels/{}/pins/{}":              nil,
		"DELETE /channels/{}/pins/{}":           nil,
		"PUT /channels/{}/messages/pins/{}":     nil,
		"DELETE /channels/{}/messages/pins/{}":  nil,
		"PUT" + message + "/reactions/{}/@me":   nil,
		"DELETE" + message + "/reactions/{}/{}": nil,
		"DELETE" + message + "/reactions/{}":    nil,
		"DELETE" + message + "/reactions":       nil,
		"GET" + message + "/reactions/{}":       List(User.Shape()),
		"GET /channels/{}/messages/pins": Obj{"has_more": Bool,
			"items": List(Obj{"pinned_at": Time, "message": Message.Shape()}.Shape())}.Shape(),
	} {
		routes[route] = s
	}
}
