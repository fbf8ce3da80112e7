package proto

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// Permissions is a set of rights (Discord: Permissions). In JSON a decimal string that fits a signed 64-bit integer; numbers are read too.
type Permissions uint64

// Permission bits, the published list as far as text chat uses it.
const (
	PermCreateInvite       Permissions = 1 << 0
	PermKickMembers        Permissions = 1 << 1
	PermBanMembers         Permissions = 1 << 2
	PermAdministrator      Permissions = 1 << 3
	PermManageChannels     Permissions = 1 << 4
	PermManageGuild        Permissions = 1 << 5
	PermAddReactions       Permissions = 1 << 6
	PermViewAuditLog       Permissions = 1 << 7
	PermViewChannel        Permissions = 1 << 10
	PermSendMessages       Permissions = 1 << 11
	PermManageMessages     Permissions = 1 << 13
	PermEmbedLinks         Permissions = 1 << 14
	PermAttachFiles        Permissions = 1 << 15
	PermReadMessageHistory Permissions = 1 << 16
	PermMentionEveryone    Permissions = 1 << 17
	PermChangeNickname     Permissions = 1 << 26
	PermManageNicknames    Permissions = 1 << 27
	PermManageRoles        Permissions = 1 << 28
	PermModerateMembers    Permissions = 1 << 40
	PermPinMessages        Permissions = 1 << 51
	PermBypassSlowmode     Permissions = 1 << 52

	// PermAll is every bit that may be stored.
	PermAll Permissions = 1<<53 - 1
	// PermDefault is what the everyone role of a new guild holds.
	PermDefault = PermCreateInvite | PermAddReactions | PermViewChannel | PermSendMessages | PermEmbedLinks | PermAttachFiles |
		PermReadMessageHistory | PermChangeNickname
	// PermDirect is what both users may do in a direct channel.
	PermDirect = PermAddReactions | PermViewChannel | PermSendMessages | PermEmbedLinks | PermAttachFiles | PermReadMessageHistory
)

// Has tells whether p holds all of want.
func (p Permissions) Has(want Permissions) bool { return p&want == want }

// MarshalJSON writes a decimal string.
func (p Permissions) MarshalJSON() ([]byte, error) {
	return []byte(`"` + strconv.FormatUint(uint64(p), 10) + `"`), nil
}

// UnmarshalJSON reads a decimal string or a number; null leaves p as it is.
func (p *Permissions) UnmarshalJSON(b []byte) error {
	s := string(b)
	if s == "null" {
		return nil
	}
	if len(s) >= 2 && s[0] == '"' {
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
	}
	v, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return fmt.Errorf("permissions %.40q: want a decimal number of 63 bits", s)
	}
	*p = Permissions(v)
	return nil
}

// GuildPermissions is what a member may do in the guild as a whole: owner and administrator everything, others the union of the everyone
// role and their own. roles maps ids to the guild's roles; ids that it does not hold count for nothing.
func GuildPermissions(g ID, owner bool, memberRoles []ID, roles map[ID]Role) Permissions {
	if owner {
		return PermAll
	}
	p := roles[g].Permissions
	for _, id := range memberRoles {
		p |= roles[id].Permissions
	}
	if p.Has(PermAdministrator) {
		return PermAll
	}
	return p
}

// ChannelPermissions applies a channel's overwrites to base, the guild permissions of user: first everyone's, then the union of
// the member's roles', then the member's own; without VIEW_CHANNEL nothing is left, without SEND_MESSAGES nothing that needs it
// (Discord: Permission Overwrites, Implicit Permissions).
func ChannelPermissions(g ID, base Permissions, user ID, memberRoles []ID, overwrites []Overwrite) Permissions {
	if base.Has(PermAdministrator) {
		return PermAll
	}
	var allow, deny, ownAllow, ownDeny Permissions
	p := base
	for _, o := range overwrites {
		switch {
		case o.Type == OverwriteRole && o.ID == g:
			p = p&^o.Deny | o.Allow
		case o.Type == OverwriteMember && o.ID == user:
			ownAllow, ownDeny = o.Allow, o.Deny
		case o.Type == OverwriteRole:
			for _, r := range memberRoles {
				if r == o.ID {
					allow |= o.Allow
					deny |= o.Deny
				}
			}
		}
	}
	p = p&^deny | allow
	p = p&^ownDeny | ownAllow
	if !p.Has(PermViewChannel) {
		return 0
	}
	if !p.Has(PermSendMessages) {
		p &^= PermMentionEveryone | PermAttachFiles | PermEmbedLinks
	}
	return p
}
