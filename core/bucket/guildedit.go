package bucket

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

const (
	maxImage       = 16 << 10 // bytes of an icon's or banner's text: guilds travel in events
	maxDescription = 300      // characters
	maxLocale      = 16
)

var auditedGuild = []string{"name", "owner_id", "icon_hash", "splash_hash", "discovery_splash_hash", "banner_hash", "description",
	"verification_level", "default_message_notifications", "explicit_content_filter", "afk_timeout", "system_channel_id",
	"system_channel_flags", "rules_channel_id", "public_updates_channel_id", "preferred_locale", "premium_progress_bar_enabled"}

func guildEdit(t *turn) error {
	var body core.GuildEdit
	if err := t.body(&body); err != nil {
		return err
	}
	a, err := t.access()
	if err != nil {
		return err
	}
	if err := a.need(proto.PermManageGuild); err != nil {
		return err
	}
	next := a.g.info
	if body.OwnerID != nil {
		if next.OwnerID, err = t.heir(a, *body.OwnerID); err != nil {
			return err
		}
	}
	if err := a.g.edit(&next, body); err != nil {
		return err
	}
	if next.Name == "" {
		return proto.InvalidForm("name", "BASE_TYPE_REQUIRED", "This field is required")
	}
	ev := t.updateGuild(a.g, next)
	if ev == nil {
		return proto.InvalidForm("icon", "BASE_TYPE_MAX_LENGTH", "The guild would be too large.")
	}
	if diff := changes(auditable(a.g.info), auditable(next), auditedGuild...); diff != nil {
		if err := t.audit(a.g, proto.AuditGuildUpdate, next.ID, diff, nil); err != nil {
			return err
		}
	}
	return t.answered(ev, 200)
}

// updateGuild emits GUILD_UPDATE: the guild's own fields, with the roles that clients want in it. nil: no entry of the log could hold it.
func (t *turn) updateGuild(g *guild, next proto.Guild) *pb.Event {
	shown := next
	shown.Roles, shown.MemberCount = g.sortedRoles(), 0
	body := encode(shown)
	if len(body) > entryBytes {
		return nil
	}
	return t.emit(&pb.Event{Type: proto.EventGuildUpdate, Guild: uint64(next.ID), Id: uint64(next.ID), Body: body}, nil, func() { g.info = next })
}

// unnamed is the guild's own fields without a channel; false if none of them names it.
func (g *guild) unnamed(channel proto.ID) (next proto.Guild, named bool) {
	next = g.info
	for _, id := range []**proto.ID{&next.SystemChannelID, &next.RulesChannelID, &next.PublicUpdatesChannelID, &next.AFKChannelID} {
		if *id != nil && **id == channel {
			*id, named = nil, true
		}
	}
	return next, named
}

// heir is the member that the actor, the owner, gives the guild to.
func (t *turn) heir(a *access, id proto.ID) (proto.ID, error) {
	if id == a.g.info.OwnerID {
		return id, nil
	}
	if !a.owner() {
		return 0, proto.ErrMissingPermission
	}
	m, err := t.b.state.member(t.ctx, a.g, id)
	switch {
	case err != nil:
		return 0, err
	case m == nil:
		return 0, proto.ErrUnknownMember
	case m.User.Bot:
		return 0, proto.InvalidForm("owner_id", "BASE_TYPE_BAD", "A bot cannot own a guild.")
	}
	return id, nil
}

// edit changes a guild's own fields as a client asks.
func (g *guild) edit(info *proto.Guild, e core.GuildEdit) (err error) {
	if e.Name != nil {
		if info.Name, err = text("name", *e.Name, 2, 100); err != nil {
			return err
		}
	}
	for _, f := range []struct {
		name string
		to   **string
		from core.Optional[string]
	}{{"icon", &info.Icon, e.Icon}, {"splash", &info.Splash, e.Splash}, {"discovery_splash", &info.DiscoverySplash, e.DiscoverySplash},
		{"banner", &info.Banner, e.Banner}} {
		if f.from.Set {
			if *f.to, err = image(f.name, f.from.Value); err != nil {
				return err
			}
		}
	}
	if e.Description.Set {
		info.Description = nil
		if v := e.Description.Value; v != nil && *v != "" {
			s, err := text("description", *v, 0, maxDescription)
			if err != nil {
				return err
			}
			info.Description = &s
		}
	}
	for _, f := range []struct {
		name string
		to   *int
		from core.Optional[int]
		most int
	}{{"verification_level", &info.VerificationLevel, e.VerificationLevel, 4},
		{"default_message_notifications", &info.DefaultMessageNotifications, e.DefaultMessageNotifications, 1},
		{"explicit_content_filter", &info.ExplicitContentFilter, e.ExplicitContentFilter, 2}} {
		if !f.from.Set {
			continue
		}
		*f.to = 0 // null is the default
		if f.from.Value != nil {
			if err := number(f.name, *f.from.Value, 0, f.most); err != nil {
				return err
			}
			*f.to = *f.from.Value
		}
	}
	return g.editMore(info, e)
}

func (g *guild) editMore(info *proto.Guild, e core.GuildEdit) (err error) {
	if e.AFKTimeout != nil {
		if !slices.Contains([]int{60, 300, 900, 1800, 3600}, *e.AFKTimeout) {
			return proto.InvalidForm("afk_timeout", "BASE_TYPE_CHOICES", "Value must be one of {60, 300, 900, 1800, 3600}.")
		}
		info.AFKTimeout = *e.AFKTimeout
	}
	if e.SystemChannelFlags != nil {
		if err := number("system_channel_flags", *e.SystemChannelFlags, 0, 1<<16-1); err != nil {
			return err
		}
		info.SystemChannelFlags = *e.SystemChannelFlags
	}
	for _, f := range []struct {
		name string
		to   **proto.ID
		from core.Optional[proto.ID]
	}{{"system_channel_id", &info.SystemChannelID, e.SystemChannelID}, {"rules_channel_id", &info.RulesChannelID, e.RulesChannelID},
		{"public_updates_channel_id", &info.PublicUpdatesChannelID, e.PublicUpdatesChannelID}} {
		if !f.from.Set {
			continue
		}
		*f.to = nil
		if id := f.from.Value; id != nil {
			if ch := g.channels[*id]; ch == nil || ch.Type != proto.ChannelText {
				return proto.InvalidForm(f.name, "CHANNEL_INVALID", "Must be a text channel of the guild.")
			}
			*f.to = new(*id)
		}
	}
	if e.PreferredLocale.Set {
		info.PreferredLocale = "en-US"
		if v := e.PreferredLocale.Value; v != nil {
			if info.PreferredLocale, err = text("preferred_locale", *v, 2, maxLocale); err != nil {
				return err
			}
		}
	}
	if e.PremiumProgressBarEnabled != nil {
		info.PremiumProgressBarEnabled = *e.PremiumProgressBarEnabled
	}
	return nil
}

// image checks an opaque image; "" is none.
func image(field string, s *string) (*string, error) {
	if s == nil || *s == "" {
		return nil, nil
	}
	if len(*s) > maxImage {
		return nil, proto.InvalidForm(field, "BASE_TYPE_MAX_LENGTH", "Must be 16 KiB or less.")
	}
	v, err := text(field, *s, 1, maxImage)
	return &v, err
}

// auditable is a guild as the audit log shows it: of images a hash.
func auditable(g proto.Guild) any {
	hash := func(s *string) *string {
		if s == nil {
			return nil
		}
		sum := sha256.Sum256([]byte(*s))
		return new(hex.EncodeToString(sum[:16]))
	}
	return struct {
		proto.Guild
		Icon            *string `json:"icon_hash"`
		Splash          *string `json:"splash_hash"`
		DiscoverySplash *string `json:"discovery_splash_hash"`
		Banner          *string `json:"banner_hash"`
	}{g, hash(g.Icon), hash(g.Splash), hash(g.DiscoverySplash), hash(g.Banner)}
}

// guildDelete ends a guild. Its messages stay in the history, where nobody can reach them.
func guildDelete(t *turn) error {
	a, err := t.access()
	if err != nil {
		return err
	}
	if !a.owner() {
		return proto.ErrMissingPermission
	}
	id := a.g.info.ID
	ev := t.emit(&pb.Event{Type: proto.EventGuildDelete, Guild: uint64(id), Id: uint64(id)}, proto.GuildStub{ID: id}, func() { a.g.gone = true })
	return t.answered(ev, 204)
}
