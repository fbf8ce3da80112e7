package core

import (
	"context"
	"time"

	"github.com/starling-chat/starling/proto"
)

// Kinds of commands that run a guild; the table of command.go goes on here. Command.Reason of any of them goes into the audit log.
const (
	KindGuildEdit   = "guild.edit"   // guild; body GuildEdit; needs MANAGE_GUILD, the owner for owner_id → 200 proto.Guild
	KindGuildDelete = "guild.delete" // guild; the owner alone → 204

	KindChannelsMove = "channels.move" // guild; body ChannelsMove; needs MANAGE_CHANNELS → 204
	KindRolesMove    = "roles.move"    // guild; body RolesMove; needs MANAGE_ROLES → 204

	KindBanPut       = "ban.put"       // guild, target user; needs BAN_MEMBERS → 204
	KindBanDelete    = "ban.delete"    // guild, target user; needs BAN_MEMBERS → 204
	KindBanBulk      = "ban.bulk"      // guild; body BanBulk; needs BAN_MEMBERS and MANAGE_GUILD → 200 proto.BulkBan
	KindMembersPrune = "members.prune" // guild; body MembersPrune; needs KICK_MEMBERS and MANAGE_GUILD → 200 Pruned

	KindMessagesPurge = "messages.purge" // guild, channel; body MessagesPurge; needs BAN_MEMBERS; a part of a ban → 204

	KindInviteDelete = "invite.delete" // guild; body InviteRef; needs MANAGE_GUILD, or MANAGE_CHANNELS in its channel → 200 proto.Invite
)

// GuildEdit is the body of PATCH /guilds/{id}. Absent keys change nothing, null clears where a guild can be without. Images are opaque.
type GuildEdit struct {
	Name                        *string            `json:"name,omitempty"`
	OwnerID                     *proto.ID          `json:"owner_id,omitempty"`
	VerificationLevel           Optional[int]      `json:"verification_level,omitzero"`            // 0 to 4
	DefaultMessageNotifications Optional[int]      `json:"default_message_notifications,omitzero"` // 0 or 1
	ExplicitContentFilter       Optional[int]      `json:"explicit_content_filter,omitzero"`       // 0 to 2
	AFKTimeout                  *int               `json:"afk_timeout,omitempty"`                  // one of 60, 300, 900, 1800, 3600
	Icon                        Optional[string]   `json:"icon,omitzero"`
	Splash                      Optional[string]   `json:"splash,omitzero"`
	DiscoverySplash             Optional[string]   `json:"discovery_splash,omitzero"`
	Banner                      Optional[string]   `json:"banner,omitzero"`
	Description                 Optional[string]   `json:"description,omitzero"`
	SystemChannelID             Optional[proto.ID] `json:"system_channel_id,omitzero"`
	SystemChannelFlags          *int               `json:"system_channel_flags,omitempty"`
	RulesChannelID              Optional[proto.ID] `json:"rules_channel_id,omitzero"`
	PublicUpdatesChannelID      Optional[proto.ID] `json:"public_updates_channel_id,omitzero"`
	PreferredLocale             Optional[string]   `json:"preferred_locale,omitzero"`
	PremiumProgressBarEnabled   *bool              `json:"premium_progress_bar_enabled,omitempty"`
}

// ChannelsMove holds the body of PATCH /guilds/{id}/channels, which is a list.
type ChannelsMove struct {
	Places []ChannelPlace `json:"places"`
}

// A ChannelPlace says where a channel shall stand. With LockPermissions it takes over the overwrites of its category.
type ChannelPlace struct {
	ID              proto.ID           `json:"id"`
	Position        *int               `json:"position,omitempty"`
	ParentID        Optional[proto.ID] `json:"parent_id,omitzero"`
	LockPermissions bool               `json:"lock_permissions,omitempty"`
}

// RolesMove holds the body of PATCH /guilds/{id}/roles, which is a list.
type RolesMove struct {
	Places []RolePlace `json:"places"`
}

// A RolePlace says which place a role shall have, 1 being right above everyone. Roles that are not named keep their order among themselves.
type RolePlace struct {
	ID       proto.ID `json:"id"`
	Position *int     `json:"position,omitempty"`
}

// BanBulk is the body of POST /guilds/{id}/bulk-ban, as far as the owner of the bucket needs it.
type BanBulk struct {
	Users []proto.ID `json:"user_ids"` // at most 200
}

// MessagesPurge deletes messages of banned users in one channel; those of others stay.
type MessagesPurge struct {
	Users    []proto.ID `json:"users"`
	Messages []proto.ID `json:"messages"` // at most 100
}

// MembersPrune is the body of POST /guilds/{id}/prune.
type MembersPrune struct {
	Days         int        `json:"days"` // 1 to 30
	IncludeRoles []proto.ID `json:"include_roles,omitempty"`
}

// Pruned answers a prune.
type Pruned struct {
	Pruned *int `json:"pruned"`
}

// Moderation is the part of a Directory that guilds are run by.
type Moderation interface {
	// Ban of a user; ErrNotFound.
	Ban(ctx context.Context, guild, user proto.ID) (proto.Ban, error)
	// Bans after a user id, in order of user ids; with before, the last ones below it.
	Bans(ctx context.Context, guild, before, after proto.ID, limit int) ([]proto.Ban, error)
	// AuditLog lists entries of the last AuditAge, newest first; with After, oldest first.
	AuditLog(ctx context.Context, guild proto.ID, q AuditQuery) ([]proto.AuditLogEntry, error)
	// FindMembers lists members whose nick, display name or username begins with prefix, without regard to case, in order of
	// those names. It costs what it answers, however large the guild is.
	FindMembers(ctx context.Context, guild proto.ID, prefix string, limit int) ([]proto.Member, error)
	// MembersByRole lists those who hold a role, after a user id, in order of user ids. It costs what it answers.
	MembersByRole(ctx context.Context, guild, role, after proto.ID, limit int) ([]proto.Member, error)
	// Prunable lists members without a role, those of Roles aside, who joined before Joined, in order of user ids.
	Prunable(ctx context.Context, guild proto.ID, q PruneQuery, limit int) ([]proto.Member, error)
	// PruneCount counts them.
	PruneCount(ctx context.Context, guild proto.ID, q PruneQuery) (int, error)
}

// AuditAge is how long the audit log remembers.
const AuditAge = 45 * 24 * time.Hour

// An AuditQuery says which entries are asked for; what is 0 is not asked.
type AuditQuery struct {
	User          proto.ID
	Action        int
	Before, After proto.ID
	Limit         int
}

// A PruneQuery says whom a prune is about.
type PruneQuery struct {
	Joined time.Time
	Roles  []proto.ID // that count for nothing
}
