package loadtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// outOfScope says of routes (by their name in discord-api-types, or "METHOD name" where only one method of it is meant) and of events why text
// chat does without. A name ending in * stands for all that begin so.
var outOfScope = map[string]string{
	"applicationRoleConnectionMetadata": "linked roles", "userApplicationRoleConnection": "linked roles", "userConnections": "accounts elsewhere",
	"applicationUserIdentityProfile": "accounts elsewhere", "userApplicationIdentit*": "accounts elsewhere", "applicationIdentities": "accounts elsewhere",
	"guildAutoModeration*": "auto moderation", "guildIncidentActions": "auto moderation",
	"channelMessageCrosspost": "announcement channels", "channelFollowers": "announcement channels",
	"channelRecipient":   "group direct messages",
	"channelVoiceStatus": "voice", "guildVoiceRegions": "voice", "guildVoiceState": "voice", "voiceRegions": "voice", "stageInstance*": "stage",
	"guildEmoji*": "custom emoji: uploads", "applicationEmoji*": "custom emoji: uploads",
	"sticker*": "stickers: uploads", "nitroStickerPacks": "stickers: billing", "guildSticker*": "stickers: uploads",
	"soundboardDefaultSounds": "soundboard", "sendSoundboardSound": "soundboard", "guildSoundboard*": "soundboard",
	"guildPreview": "discovery of public guilds", "guildMessagesSearch": "search", "guildMFA": "second factors",
	"guildIntegration*": "integrations", "guildWidget*": "widgets", "guildVanityUrl": "billing: a perk",
	"guildRoleMemberCounts": "a figure of guild settings; one count over all members a role",
	"inviteTargetUsers*":    "invites for a list of people: uploads",
	"template":              "templates", "guildTemplate*": "templates",
	"pollAnswerVoters": "polls", "expirePoll": "polls",
	"threads": "threads", "guildActiveThreads": "threads", "channelThreads": "threads", "channelJoinedArchivedThreads": "threads", "threadMembers": "threads",
	"channelWebhooks": "webhooks", "guildWebhooks": "webhooks", "webhook*": "webhooks",
	"oauth2CurrentAuthorization": "OAuth2 grants", "oauth2Authorization": "OAuth2 grants", "oauth2Token*": "OAuth2 grants",
	"applicationCommand*": "interactions", "applicationGuildCommand*": "interactions", "interactionCallback": "interactions",
	"guildApplicationCommandsPermissions": "interactions", "applicationActivityInstance": "activities",
	"PATCH currentApplication": "the application's page: nothing in text chat shows it",
	"guildMemberVerification":  "onboarding", "guildWelcomeScreen": "onboarding", "guildOnboarding": "onboarding",
	"guildScheduledEvent*": "scheduled events",
	"entitlement*":         "billing", "consumeEntitlement": "billing", "sku*": "billing",

	"APPLICATION_COMMAND_*": "interactions", "INTERACTION_CREATE": "interactions", "AUTO_MODERATION_*": "auto moderation",
	"ENTITLEMENT_*": "billing", "SUBSCRIPTION_*": "billing", "GUILD_EMOJIS_UPDATE": "custom emoji: uploads", "GUILD_STICKERS_UPDATE": "stickers: uploads",
	"GUILD_INTEGRATIONS_UPDATE": "integrations", "INTEGRATION_*": "integrations", "GUILD_SCHEDULED_EVENT_*": "scheduled events",
	"GUILD_SOUNDBOARD_*": "soundboard", "SOUNDBOARD_SOUNDS": "soundboard", "MESSAGE_POLL_*": "polls", "STAGE_INSTANCE_*": "stage", "THREAD_*": "threads",
	"VOICE_*": "voice", "CHANNEL_INFO": "voice: status of channels", "WEBHOOKS_UPDATE": "webhooks",
}

// whyNot finds a reason, and the entry that gives it.
func whyNot(names ...string) (entry, reason string) {
	for entry, reason := range outOfScope {
		for _, name := range names {
			if prefix, ok := strings.CutSuffix(entry, "*"); entry == name || ok && strings.HasPrefix(name, prefix) {
				return entry, reason
			}
		}
	}
	return "", ""
}

type published struct {
	Routes []struct{ Name, Method, Path string }
	Events []string
}

// Every route and event of Discord's API v10, as the types package of discord.js lists them, is implemented or out of scope for a reason.
// The table is printed: go test ./loadtest -run Coverage -v
func TestCoverage(t *testing.T) {
	list := publishedAPI(t)
	d := readDocs(t)
	used := map[string]bool{}
	var table strings.Builder
	done, out := 0, 0
	row := func(what, ours string, names ...string) {
		entry, reason := whyNot(names...)
		used[entry] = true
		switch {
		case ours != "" && reason != "":
			t.Errorf("%s is implemented (%s), and outOfScope says %q of it", what, ours, reason)
		case ours != "":
			done++
			fmt.Fprintf(&table, "%-88s implemented   %s\n", what, ours)
		case reason != "":
			out++
			fmt.Fprintf(&table, "%-88s out of scope  %s\n", what, reason)
		default:
			t.Errorf("%s (%s) is neither implemented nor out of scope for a reason", what, names[0])
		}
	}
	for _, r := range list.Routes {
		ours := ""
		if i := slices.IndexFunc(d.ops, func(o operation) bool { return o.Method == r.Method && answersTo(o.Path, r.Path) }); i >= 0 {
			ours = d.ops[i].ID // TestEveryRouteIsDocumented sees that the server has it
		}
		row(r.Method+" "+r.Path, ours, r.Name, r.Method+" "+r.Name)
	}
	for _, name := range list.Events {
		ours := ""
		if e, ok := d.events[name]; ok {
			ours = "by " + strings.Join(e.MadeBy, ", ")
		}
		row(name, ours, name)
	}
	for entry := range outOfScope {
		if !used[entry] {
			t.Errorf("outOfScope has %q, which stands for nothing that is published", entry)
		}
	}
	t.Logf("%d routes and %d events are published; implemented %d, out of scope %d\n%s", len(list.Routes), len(list.Events), done, out, table.String())
}

// publishedAPI asks the pinned types package of discord.js: discordjs/coverage.mjs.
func publishedAPI(t *testing.T) published {
	t.Helper()
	dir := discordJS(t)
	must(t, copyFile(filepath.Join("discordjs", "coverage.mjs"), filepath.Join(dir, "coverage.mjs")))
	cmd := exec.CommandContext(within(t, time.Minute), "node", "coverage.mjs")
	cmd.Dir = dir
	var errs bytes.Buffer
	cmd.Stderr = &errs
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("node: %v\n%s", err, errs.String())
	}
	var list published
	must(t, json.Unmarshal(text, &list))
	if len(list.Routes) < 150 || len(list.Events) < 60 {
		t.Fatalf("%d routes and %d events: the package is not read as it should be", len(list.Routes), len(list.Events))
	}
	return list
}

var publishedParameter = regexp.MustCompile(`\$?\{[^}]+\}`) // one path of the package is written with a $

// answersTo tells whether a path of ours answers a published one: a parameter of ours takes @me as well.
func answersTo(ours, theirs string) bool {
	a, b := strings.Split(unnamed(ours), "/"), strings.Split(publishedParameter.ReplaceAllString(theirs, "{}"), "/")
	return slices.EqualFunc(a, b, func(x, y string) bool { return x == y || x == "{}" && y == "@me" })
}
