package loadtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bwmarrin/discordgo"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

// Ann, who is administrator, builds and rules a town from one edge; Ben, without rights, follows it in discordgo's state at the other. Rudy and
// Cleo live there. What both states hold is what REST tells, and discordgo complains of nothing.
func TestDiscordgoTown(t *testing.T) {
	quiet(t)
	w := newTown(t, plain.get(t))
	ctx := within(t, 6*patience)
	annBot, _ := w.bot("ann", true)
	benBot, _ := w.bot("ben", true)
	must(t, w.owner.GiveRole(ctx, w.guild.ID, annBot.ID, take[proto.Role](t)(w.owner.Role(ctx, w.guild.ID, "admins", proto.PermAdministrator)).ID))
	rudy, rudyREST := w.human("rudy")
	cleo, cleoREST := w.human("cleo")
	ann, ben := w.watcher(0, annBot), w.watcher(1, benBot)
	guild, general := w.guild.ID.String(), w.general.String()
	agree(guild, "at the start", ann, ben)

	// Channels: categories, all fields, an order in one call, slow mode.
	loft := take[*discordgo.Channel](t)(ann.GuildChannelCreate(guild, "loft", discordgo.ChannelTypeGuildCategory))
	attic := take[*discordgo.Channel](t)(ann.GuildChannelCreateComplex(guild, discordgo.GuildChannelCreateData{Name: "attic", Topic: "old things", NSFW: true,
		ParentID: loft.ID, RateLimitPerUser: 3600, PermissionOverwrites: []*discordgo.PermissionOverwrite{{ID: guild, Deny: discordgo.PermissionAddReactions}}}))
	take[*discordgo.Channel](t)(ann.ChannelEdit(attic.ID, &discordgo.ChannelEdit{Topic: "older things", NSFW: new(false), Name: "cellar"}))
	must(t, ann.GuildChannelsReorder(guild, []*discordgo.Channel{{ID: attic.ID, Position: 6}, {ID: general, Position: 7}}))
	_, err := ben.GuildChannelCreate(guild, "mine", discordgo.ChannelTypeGuildText)
	refuses(t, err, proto.ErrMissingPermission)
	cellar := take[proto.ID](t)(proto.ParseID(attic.ID))
	take[proto.Message](t)(rudyREST.Say(ctx, cellar, "once"))
	_, err = rudyREST.Say(ctx, cellar, "twice")
	fails(t, err, proto.SlowMode(1))
	must(t, ann.ChannelPermissionSet(attic.ID, benBot.ID.String(), discordgo.PermissionOverwriteTypeMember, 0, discordgo.PermissionViewChannel))
	ben.expect(0, "a hidden channel", about("CHANNEL_DELETE", func(c proto.Channel) bool { return c.ID == cellar }))
	agree(guild, "after channels", ann, ben)
	must(t, ann.ChannelPermissionDelete(attic.ID, benBot.ID.String()))
	ben.expect(0, "a channel that came back", func(e client.Event) bool {
		return e.T == "CHANNEL_CREATE" && strings.Contains(string(e.D), "older things")
	})
	take[*discordgo.Channel](t)(ann.ChannelDelete(loft.ID))
	agree(guild, "after a category was deleted", ann, ben)

	// Roles: hoisted, mentionable, moved; what stands above is out of reach.
	low := take[*discordgo.Role](t)(ann.GuildRoleCreate(guild, &discordgo.RoleParams{Name: "low", Permissions: new(int64(discordgo.PermissionManageRoles))}))
	high := take[*discordgo.Role](t)(ann.GuildRoleCreate(guild, &discordgo.RoleParams{Name: "high", Hoist: new(true), Mentionable: new(true), Color: new(0xff8800)}))
	low.Position, high.Position = 1, 2
	take[[]*discordgo.Role](t)(ann.GuildRoleReorder(guild, []*discordgo.Role{low, high}))
	must(t, ann.GuildMemberRoleAdd(guild, benBot.ID.String(), low.ID))
	take[*discordgo.Role](t)(ann.GuildRoleEdit(guild, high.ID, &discordgo.RoleParams{Name: "higher", Permissions: new(int64(discordgo.PermissionManageMessages))}))
	_, err = ben.GuildRoleEdit(guild, high.ID, &discordgo.RoleParams{Name: "mine"})
	refuses(t, err, proto.ErrMissingPermission)
	refuses(t, ben.GuildMemberRoleAdd(guild, benBot.ID.String(), high.ID), proto.ErrMissingPermission)
	refuses(t, ben.GuildRoleDelete(guild, high.ID), proto.ErrMissingPermission)
	own := take[*discordgo.Role](t)(ben.GuildRoleCreate(guild, &discordgo.RoleParams{Name: "lowest", Permissions: new(int64(0))}))
	take[*discordgo.Member](t)(ann.GuildMemberEdit(guild, rudy.User.ID.String(), &discordgo.GuildMemberParams{Nick: "Grump", Roles: &[]string{own.ID, high.ID}}))
	agree(guild, "after roles", ann, ben)
	must(t, ann.GuildRoleDelete(guild, high.ID))
	must(t, ben.GuildMemberRoleRemove(guild, rudy.User.ID.String(), own.ID))
	agree(guild, "after roles went", ann, ben)

	// Members: pages, a time-out, a kick, a ban, a return.
	first := take[[]*discordgo.Member](t)(ben.GuildMembers(guild, "", 2))
	rest := take[[]*discordgo.Member](t)(ben.GuildMembers(guild, first[1].User.ID, 1000))
	if len(first) != 2 || len(rest) != 3 {
		t.Errorf("pages of %d and %d members, want 2 and 3", len(first), len(rest))
	}
	soon := time.Now().Add(time.Minute)
	must(t, ann.GuildMemberTimeout(guild, rudy.User.ID.String(), &soon))
	agree(guild, "during a time-out", ann, ben)
	must(t, ann.GuildMemberTimeout(guild, rudy.User.ID.String(), nil))
	must(t, ann.GuildMemberDelete(guild, cleo.User.ID.String()))
	must(t, ann.GuildBanCreateWithReason(guild, rudy.User.ID.String(), "rude", 0))
	agree(guild, "after a kick and a ban", ann, ben)
	must(t, cleoREST.Join(ctx, take[string](t)(w.owner.Invite(ctx, w.general))))
	agree(guild, "after a return", ann, ben)

	// Ben leaves; the town passes to Cleo, who ends it.
	must(t, ben.GuildLeave(guild))
	ben.expect(0, "GUILD_DELETE", event("GUILD_DELETE"))
	agree(guild, "after Ben left", ann)
	must(t, w.owner.Call(ctx, "PATCH", "/guilds/"+guild, map[string]any{"owner_id": cleo.User.ID}, nil))
	agree(guild, "after it passed on", ann)
	must(t, cleoREST.Call(ctx, "DELETE", "/guilds/"+guild, nil, nil))
	ann.expect(0, "GUILD_DELETE", event("GUILD_DELETE"))
	for _, g := range []*gopher{ann, ben} {
		if list := take[[]*discordgo.UserGuild](t)(g.UserGuilds(100, "", "", false)); len(list) != 0 {
			t.Errorf("guilds after all: %+v", list)
		}
		if now, _ := g.holds(); len(now.guilds) != 0 {
			t.Errorf("the state still holds %v", now.guilds)
		}
	}
}

// Ann and Ben write at two edges: mentions, files, pins, bulk delete. What their states hold is what REST tells.
func TestDiscordgoWrites(t *testing.T) {
	quiet(t)
	w := newTown(t, plain.get(t))
	ctx := within(t, 6*patience)
	annBot, _ := w.bot("ann", true)
	benBot, _ := w.bot("ben", true)
	may := proto.PermManageMessages | proto.PermMentionEveryone
	mods := take[proto.Role](t)(w.owner.Role(ctx, w.guild.ID, "mods", may)).ID
	must(t, w.owner.GiveRole(ctx, w.guild.ID, annBot.ID, mods))
	rudy, rudyREST := w.human("rudy")
	ann, ben := w.watcher(0, annBot), w.watcher(1, benBot)
	channel := w.general.String()

	text := fmt.Sprintf("<@%s> <@&%s> @everyone", rudy.User.ID, mods)
	for _, tt := range []struct {
		from         *gopher
		allowed      *discordgo.MessageAllowedMentions
		users, roles int
		everyone     bool
		who          string
	}{
		{ann, nil, 1, 1, true, "who may mention all"},
		{ben, nil, 1, 0, false, "who may not"},
		{ann, &discordgo.MessageAllowedMentions{Parse: []discordgo.AllowedMentionType{}}, 0, 0, false, "nobody allowed"},
		{ann, &discordgo.MessageAllowedMentions{Parse: []discordgo.AllowedMentionType{discordgo.AllowedMentionTypeRoles}, Users: []string{rudy.User.ID.String()}}, 1, 1, false, "some allowed"},
	} {
		m := take[*discordgo.Message](t)(tt.from.ChannelMessageSendComplex(channel, &discordgo.MessageSend{Content: text, AllowedMentions: tt.allowed}))
		if len(m.Mentions) != tt.users || len(m.MentionRoles) != tt.roles || m.MentionEveryone != tt.everyone {
			t.Errorf("%s: mentions %v, %v, everyone %t", tt.who, m.Mentions, m.MentionRoles, m.MentionEveryone)
		}
	}
	take[proto.Message](t)(rudyREST.Say(ctx, w.general, "https://cdn.example.org/cat.png"))
	m := ben.say(w.general, "house rules")
	take[*discordgo.Message](t)(ben.ChannelMessageEdit(channel, m.ID, "rules of the house"))
	_, err := ann.ChannelMessageEdit(channel, m.ID, "mine")
	refuses(t, err, proto.ErrNotAuthor)
	refuses(t, ben.ChannelMessagePin(channel, m.ID), proto.ErrMissingPermission)
	must(t, ann.ChannelMessagePin(channel, m.ID))
	isNote := func(m proto.Message) bool { return m.Type == proto.MessagePinned }
	var note proto.Message
	must(t, ben.expect(0, "what tells of the pin", about("MESSAGE_CREATE", isNote)).Into(&note))
	if note.Author.ID != annBot.ID || note.Reference == nil || note.Reference.MessageID.String() != m.ID || note.Member == nil {
		t.Errorf("what tells of the pin: %+v", note)
	}
	if ch := take[*discordgo.Channel](t)(ben.Channel(channel)); ch.LastPinTimestamp == nil || ch.LastMessageID != note.ID.String() {
		t.Errorf("last pin %v, last message %s", ch.LastPinTimestamp, ch.LastMessageID)
	}
	agreeOn(channel, "after a pin", ann, ben)
	lateBot, _ := w.bot("late", true)
	w.gopher(1, lateBot).expect(0, "the last pin in GUILD_CREATE", about("GUILD_CREATE", func(c proto.GuildCreate) bool {
		return slices.ContainsFunc(c.Channels, func(ch proto.Channel) bool { return ch.ID == w.general && ch.LastPinTimestamp != nil })
	}))
	must(t, ann.ChannelMessageUnpin(channel, m.ID))

	_, err = ann.ChannelFileSend(channel, "cat.txt", strings.NewReader("meow"))
	refuses(t, err, proto.InvalidForm("", "", ""))
	_, err = ann.ChannelMessageCrosspost(channel, m.ID)
	refuses(t, err, proto.ErrNotFound)

	var spam []string
	for i := range 3 {
		spam = append(spam, ben.say(w.general, fmt.Sprint("spam ", i)).ID)
	}
	refuses(t, ben.ChannelMessagesBulkDelete(channel, spam), proto.ErrMissingPermission)
	must(t, ann.ChannelMessagesBulkDelete(channel, spam[:2]))
	must(t, ann.ChannelMessageDelete(channel, spam[2]))
	last := ann.say(w.general, "all clean")
	for _, g := range []*gopher{ann, ben} {
		g.expect(0, "the last", saysID(last.ID))
	}
	agreeOn(channel, "at the end", ann, ben)
}
