package loadtest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/bwmarrin/discordgo"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

var moderating = map[string]any{"intents": client.DefaultIntents | proto.IntentGuildModeration}

// Olivia runs her town from one edge; Mod, who may read the audit log, and Ann, who may not, listen at the other.
func TestRunATown(t *testing.T) {
	w := newTown(t, plain.get(t))
	ctx := within(t, 6*patience)
	modBot, _ := w.bot("mod", true)
	annBot, ann := w.bot("ann", true)
	role := take[proto.Role](t)(w.owner.Role(ctx, w.guild.ID, "mods", proto.PermViewAuditLog|proto.PermManageChannels))
	must(t, w.owner.GiveRole(ctx, w.guild.ID, modBot.ID, role.ID))
	rude, rudy := w.human("rudy")
	mod := w.open(1, modBot.Token, client.Options{}, moderating)
	listener := w.open(1, annBot.Token, client.Options{}, moderating)
	rudySession := w.open(0, rude.Token, client.Options{}, moderating)
	base := fmt.Sprintf("/guilds/%s", w.guild.ID)
	both := func(what string, match func(client.Event) bool) {
		t.Helper()
		w.await(mod.Gateway, 0, what+" at Mod", match)
		w.await(listener.Gateway, 0, what+" at Ann", match)
	}

	var g proto.Guild
	must(t, w.owner.Call(ctx, "PATCH", base, map[string]any{"name": "Newtown", "icon": "icon_1", "verification_level": 1}, &g))
	both("GUILD_UPDATE", about("GUILD_UPDATE", func(u proto.Guild) bool {
		return u.ID == g.ID && u.Name == "Newtown" && *u.Icon == "icon_1" && len(u.Roles) >= 2
	}))

	// Channels and roles move, each with its event.
	loft := proto.Channel{}
	must(t, w.owner.Call(ctx, "POST", base+"/channels", map[string]any{"name": "loft", "type": proto.ChannelCategory}, &loft))
	must(t, w.owner.Call(ctx, "PATCH", base+"/channels", []map[string]any{{"id": w.general, "position": 4, "parent_id": loft.ID}, {"id": loft.ID, "position": 9}}, nil))
	both("CHANNEL_UPDATE of the channel", about("CHANNEL_UPDATE", func(c proto.Channel) bool {
		return c.ID == w.general && c.Position == 4 && c.ParentID != nil && *c.ParentID == loft.ID
	}))
	both("CHANNEL_UPDATE of the category", about("CHANNEL_UPDATE", func(c proto.Channel) bool { return c.ID == loft.ID && c.Position == 9 }))
	other := take[proto.Role](t)(w.owner.Role(ctx, w.guild.ID, "others", 0))
	var roles []proto.Role
	must(t, w.owner.Call(ctx, "PATCH", base+"/roles", []map[string]any{{"id": other.ID, "position": 2}}, &roles))
	if len(roles) != 3 || roles[2].ID != other.ID || roles[2].Position != 2 {
		t.Errorf("roles %+v", roles)
	}
	both("GUILD_ROLE_UPDATE", about("GUILD_ROLE_UPDATE", func(r proto.GuildRole) bool { return r.Role.ID == other.ID && r.Role.Position == 2 }))

	// A ban: who is banned loses the guild, the others hear that he left; the ban and the audit log are for Mod alone.
	said := take[proto.Message](t)(rudy.Say(ctx, w.general, "rude"))
	code := take[string](t)(w.owner.Invite(ctx, w.general))
	must(t, w.owner.Call(ctx, "PUT", base+"/bans/"+rude.User.ID.String()+"?reason=rude", map[string]any{"delete_message_seconds": 60}, nil))
	isRude := func(b proto.GuildBan) bool { return b.User.ID == rude.User.ID && b.GuildID == w.guild.ID }
	w.await(mod.Gateway, 0, "GUILD_BAN_ADD at Mod", about("GUILD_BAN_ADD", isRude))
	both("GUILD_MEMBER_REMOVE", about("GUILD_MEMBER_REMOVE", func(r proto.GuildMemberRemove) bool { return r.User.ID == rude.User.ID }))
	both("MESSAGE_DELETE", about("MESSAGE_DELETE", func(d proto.MessageDelete) bool { return d.ID == said.ID }))
	w.await(rudySession.Gateway, 0, "GUILD_DELETE at Rudy", about("GUILD_DELETE", func(s proto.GuildStub) bool { return s.ID == w.guild.ID && !s.Unavailable }))
	entry := w.await(mod.Gateway, 0, "GUILD_AUDIT_LOG_ENTRY_CREATE", about("GUILD_AUDIT_LOG_ENTRY_CREATE", func(e proto.AuditLogEvent) bool {
		return e.Action == proto.AuditMemberBanAdd && e.Reason == "rude" && *e.TargetID == rude.User.ID && *e.UserID == w.person.User.ID
	}))
	if removed := w.await(mod.Gateway, 0, "", event("GUILD_MEMBER_REMOVE")); removed.S >= entry.S {
		t.Errorf("the audit log (s=%d) came before what it tells of (s=%d)", entry.S, removed.S)
	}
	fails(t, rudy.Join(ctx, code), proto.ErrBanned)
	fails(t, ann.Call(ctx, "GET", base+"/audit-logs", nil, nil), proto.ErrMissingPermission)
	fails(t, ann.Call(ctx, "GET", base+"/bans", nil, nil), proto.ErrMissingPermission)
	must(t, w.owner.Call(ctx, "DELETE", base+"/bans/"+rude.User.ID.String(), nil, nil))
	w.await(mod.Gateway, 0, "GUILD_BAN_REMOVE at Mod", about("GUILD_BAN_REMOVE", isRude))
	must(t, rudy.Join(ctx, code))
	both("GUILD_MEMBER_ADD", about("GUILD_MEMBER_ADD", func(m proto.GuildMember) bool { return m.User.ID == rude.User.ID }))
	for _, e := range listener.Since(0) {
		if e.T == proto.EventGuildBanAdd || e.T == proto.EventGuildBanRemove || e.T == proto.EventAuditLogEntry {
			t.Errorf("Ann, who may neither ban nor read the audit log, heard %s", e.T)
		}
	}

	// An invite is revoked.
	must(t, w.owner.Call(ctx, "DELETE", "/invites/"+code, nil, nil))
	w.await(mod.Gateway, 0, "INVITE_DELETE", about("INVITE_DELETE", func(i proto.InviteDelete) bool { return i.Code == code && i.ChannelID == w.general }))

	// The guild passes to Rudy, who ends it. Nobody without the right has heard of the audit log.
	must(t, w.owner.Call(ctx, "PATCH", base, map[string]any{"owner_id": rude.User.ID}, nil))
	fails(t, w.owner.Call(ctx, "DELETE", base, nil, nil), proto.ErrMissingPermission)
	must(t, rudy.Call(ctx, "DELETE", base, nil, nil))
	both("GUILD_DELETE", about("GUILD_DELETE", func(s proto.GuildStub) bool { return s.ID == w.guild.ID && !s.Unavailable }))
	if n := listener.Count(0, event("GUILD_AUDIT_LOG_ENTRY_CREATE")); n != 0 {
		t.Errorf("Ann got %d entries of the audit log", n)
	}
	if n := listener.Count(0, event("INVITE_DELETE")); n != 0 {
		t.Errorf("Ann got %d INVITE_DELETEs", n)
	}
}

// An unmodified discordgo runs a guild, as administrator; another at the other edge follows.
func TestDiscordgoModerates(t *testing.T) {
	w := newTown(t, plain.get(t))
	ctx := within(t, 6*patience)
	benBot, _ := w.bot("ben", true)
	annBot, _ := w.bot("ann", true)
	role := take[proto.Role](t)(w.owner.Role(ctx, w.guild.ID, "admins", proto.PermAdministrator))
	must(t, w.owner.GiveRole(ctx, w.guild.ID, benBot.ID, role.ID))
	rude, _ := w.human("rudy")
	ben, ann := w.gopher(0, benBot), w.gopher(1, annBot)
	guild, rudy := w.guild.ID.String(), rude.User.ID.String()
	for _, g := range []*gopher{ben, ann} {
		g.expect(0, "GUILD_CREATE", about("GUILD_CREATE", func(c proto.GuildCreate) bool { return c.ID == w.guild.ID }))
	}

	level := discordgo.VerificationLevelLow
	g := take[*discordgo.Guild](t)(ben.GuildEdit(guild, &discordgo.GuildParams{Name: "Gophers", Description: "holes", VerificationLevel: &level}))
	if g.Name != "Gophers" || g.Description != "holes" || g.VerificationLevel != level {
		t.Errorf("edited guild: %+v", g)
	}
	ann.expect(0, "GUILD_UPDATE", about("GUILD_UPDATE", func(u proto.Guild) bool { return u.Name == "Gophers" }))

	var ids []string
	for _, name := range []string{"one", "two"} {
		ids = append(ids, take[*discordgo.Channel](t)(ben.GuildChannelCreate(guild, name, discordgo.ChannelTypeGuildText)).ID)
	}
	must(t, ben.GuildChannelsReorder(guild, []*discordgo.Channel{{ID: ids[1], Position: 20}, {ID: ids[0], Position: 21}}))
	ann.expect(0, "CHANNEL_UPDATE", about("CHANNEL_UPDATE", func(c proto.Channel) bool { return c.ID.String() == ids[0] && c.Position == 21 }))

	low := take[*discordgo.Role](t)(ben.GuildRoleCreate(guild, &discordgo.RoleParams{Name: "low"}))
	lower := take[*discordgo.Role](t)(ben.GuildRoleCreate(guild, &discordgo.RoleParams{Name: "lower"}))
	low.Position, lower.Position = 1, 2
	order := take[[]*discordgo.Role](t)(ben.GuildRoleReorder(guild, []*discordgo.Role{low, lower}))
	if len(order) != 4 || order[1].ID != low.ID || order[2].ID != lower.ID || order[3].ID != role.ID.String() {
		t.Errorf("order of roles: %+v", order)
	}

	if found := take[[]*discordgo.Member](t)(ann.GuildMembersSearch(guild, "RUD", 5)); len(found) != 1 || found[0].User.ID != rudy {
		t.Errorf("found %+v", found)
	}
	must(t, ben.GuildMemberNickname(guild, "@me", "Benny"))
	must(t, ben.GuildMemberNickname(guild, rudy, "Grump"))
	ann.expect(0, "GUILD_MEMBER_UPDATE", about("GUILD_MEMBER_UPDATE", func(m proto.GuildMember) bool { return m.Nick != nil && *m.Nick == "Grump" }))
	until := time.Now().Add(time.Minute)
	must(t, ben.GuildMemberTimeout(guild, rudy, &until))

	inv := take[*discordgo.Invite](t)(ben.ChannelInviteCreate(w.general.String(), discordgo.Invite{MaxAge: 60, MaxUses: 3, Temporary: true}))
	if p := take[*discordgo.Invite](t)(ben.InviteWithCounts(inv.Code)); p.ApproximateMemberCount != 4 || p.Guild.Name != "Gophers" {
		t.Errorf("preview: %+v", p)
	}
	take[*discordgo.Invite](t)(ben.InviteDelete(inv.Code))
	if all := take[[]*discordgo.Invite](t)(ben.GuildInvites(guild)); slices.ContainsFunc(all, func(i *discordgo.Invite) bool { return i.Code == inv.Code }) {
		t.Error("the revoked invite is listed")
	}

	if n := take[uint32](t)(ben.GuildPruneCount(guild, 7)); n != 0 {
		t.Errorf("%d to prune", n)
	}
	take[uint32](t)(ben.GuildPrune(guild, 7))
	must(t, ben.GuildBanCreateWithReason(guild, rudy, "always rude", 1))
	bans := take[[]*discordgo.GuildBan](t)(ben.GuildBans(guild, 10, "", ""))
	if len(bans) != 1 || bans[0].User.ID != rudy || bans[0].Reason != "always rude" {
		t.Errorf("bans: %+v", bans)
	}
	ann.expect(0, "GUILD_MEMBER_REMOVE", about("GUILD_MEMBER_REMOVE", func(r proto.GuildMemberRemove) bool { return r.User.ID.String() == rudy }))
	must(t, ben.GuildBanDelete(guild, rudy))
	if _, err := ben.GuildBan(guild, rudy); err == nil {
		t.Error("the ban is still there")
	}
	must(t, ben.GuildMemberDeleteWithReason(guild, annBot.ID.String(), "sorry"))
	ann.expect(0, "GUILD_DELETE", about("GUILD_DELETE", func(s proto.GuildStub) bool { return s.ID == w.guild.ID }))

	log := take[*discordgo.GuildAuditLog](t)(ben.GuildAuditLog(guild, benBot.ID.String(), "", 0, 100))
	var actions []int
	for _, e := range log.AuditLogEntries {
		actions = append(actions, int(*e.ActionType))
	}
	for _, want := range []discordgo.AuditLogAction{discordgo.AuditLogActionGuildUpdate, discordgo.AuditLogActionChannelUpdate,
		discordgo.AuditLogActionRoleUpdate, discordgo.AuditLogActionMemberUpdate, discordgo.AuditLogActionInviteDelete,
		discordgo.AuditLogActionMemberBanAdd, discordgo.AuditLogActionMemberBanRemove, discordgo.AuditLogActionMemberKick} {
		if !slices.Contains(actions, int(want)) {
			t.Errorf("action %d is not in the audit log: %v", want, actions)
		}
	}
	if e := log.AuditLogEntries[0]; e.Reason != "sorry" || e.TargetID != annBot.ID.String() {
		t.Errorf("last entry: %+v", e)
	}
	if len(log.Users) < 2 {
		t.Errorf("users of the audit log: %+v", log.Users)
	}
}
