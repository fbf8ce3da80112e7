package proto

import "encoding/json"

// Actions of the audit log that Starling records (Discord: Audit Log Events).
const (
	AuditGuildUpdate       = 1
	AuditChannelCreate     = 10
	AuditChannelUpdate     = 11
	AuditChannelDelete     = 12
	AuditOverwriteCreate   = 13
	AuditOverwriteUpdate   = 14
	AuditOverwriteDelete   = 15
	AuditMemberKick        = 20
	AuditMemberPrune       = 21
	AuditMemberBanAdd      = 22
	AuditMemberBanRemove   = 23
	AuditMemberUpdate      = 24
	AuditMemberRoleUpdate  = 25
	AuditBotAdd            = 28
	AuditRoleCreate        = 30
	AuditRoleUpdate        = 31
	AuditRoleDelete        = 32
	AuditInviteCreate      = 40
	AuditInviteDelete      = 42
	AuditMessageDelete     = 72
	AuditMessageBulkDelete = 73
	AuditMessagePin        = 74
	AuditMessageUnpin      = 75
)

// An AuditLogEntry tells who did what, and why (Discord: Audit Log Entry).
type AuditLogEntry struct {
	ID       ID            `json:"id"`
	UserID   *ID           `json:"user_id"`
	TargetID *ID           `json:"target_id"` // of what was changed; null where it has no id, as invites
	Action   int           `json:"action_type"`
	Changes  []AuditChange `json:"changes,omitempty"`
	Options  *AuditOptions `json:"options,omitempty"`
	Reason   string        `json:"reason,omitempty"`
}

// An AuditChange is one key of what was changed. What came into being has no old value, what is gone no new one.
type AuditChange struct {
	Key string          `json:"key"`
	Old json.RawMessage `json:"old_value,omitempty"`
	New json.RawMessage `json:"new_value,omitempty"`
}

// AuditOptions are what some actions have beside changes; numbers are strings, as Discord writes them.
type AuditOptions struct {
	ChannelID        *ID    `json:"channel_id,omitempty"`
	MessageID        *ID    `json:"message_id,omitempty"`
	Count            string `json:"count,omitempty"`
	DeleteMemberDays string `json:"delete_member_days,omitempty"`
	MembersRemoved   string `json:"members_removed,omitempty"`
	ID               *ID    `json:"id,omitempty"`        // of the overwrite's target
	Type             string `json:"type,omitempty"`      // of the overwrite's target: "0" role, "1" member
	RoleName         string `json:"role_name,omitempty"` // of an overwrite for a role
}

// An AuditLogEvent is the d of GUILD_AUDIT_LOG_ENTRY_CREATE.
type AuditLogEvent struct {
	AuditLogEntry
	GuildID ID `json:"guild_id"`
}

// AuditLog answers GET /guilds/{id}/audit-logs: entries, newest first, and the users that they name.
type AuditLog struct {
	Entries         []AuditLogEntry `json:"audit_log_entries"`
	Users           []User          `json:"users"`
	Webhooks        []Nothing       `json:"webhooks"`
	Integrations    []Nothing       `json:"integrations"`
	Threads         []Nothing       `json:"threads"`
	ScheduledEvents []Nothing       `json:"guild_scheduled_events"`
	AutoModeration  []Nothing       `json:"auto_moderation_rules"`
	Commands        []Nothing       `json:"application_commands"`
}
