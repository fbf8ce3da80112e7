package api

import (
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

// Limits of routes. Clients keep one bucket per method, route template and major id; so do we, per user.
var (
	limitSend   = core.Limit{Burst: 5, Per: 5 * time.Second}
	limitRoute  = core.Limit{Burst: 50, Per: time.Second}
	limitGlobal = core.Limit{Burst: 50, Per: time.Second}   // over all routes of a user
	limitLogin  = core.Limit{Burst: 600, Per: time.Minute}  // per remote address: whole offices share one
	limitBirth  = core.Limit{Burst: 1800, Per: time.Minute} // of accounts, per remote address; the password hashes bound the cost
	limitPublic = core.Limit{Burst: 6000, Per: time.Minute} // per remote address
)

// Path parameters that carry a route's limit (Discord: major parameters).
const (
	noMajor      = ""
	majorGuild   = "guild"
	majorChannel = "channel"
)

// routes is the table of the API. Prefixes share handlers, metrics and limits.
func (s *Server) routes() http.Handler {
	mux := chi.NewRouter()
	mux.Use(s.frame, middleware.StripSlashes, plainAt)
	notFound := s.public("none", limitPublic, func(*call) (reply, error) { return reply{}, proto.ErrNotFound })
	notAllowed := s.public("none", limitPublic, func(*call) (reply, error) { return reply{}, proto.ErrMethodNotAllowed })
	mux.NotFound(notFound)
	mux.MethodNotAllowed(notAllowed)
	s.accountRoutes(mux)
	api := chi.NewRouter()
	api.NotFound(notFound)
	api.MethodNotAllowed(notAllowed)
	s.accountRoutes(api)
	s.userRoutes(api)
	s.guildRoutes(api)
	s.channelRoutes(api)
	s.postRoutes(api)
	for _, prefix := range []string{"/api/v10", "/api/v9", "/v1"} {
		mux.Mount(prefix, api)
	}
	return mux
}

// accountRoutes answer at the root as well: they are our own and have no version.
func (s *Server) accountRoutes(m chi.Router) {
	m.Post("/auth/register", s.public("auth.register", limitBirth, s.register))
	m.Post("/auth/login", s.public("auth.login", limitLogin, s.login))
	m.Post("/auth/refresh", s.public("auth.refresh", limitLogin, s.refresh))
	m.Post("/auth/logout", s.public("auth.logout", limitLogin, s.logout))
	m.Get("/.well-known/jwks.json", s.public("jwks", limitPublic, s.jwks))
	m.Get("/gateway", s.public("gateway", limitPublic, s.gateway))
	m.Get("/gateway/bot", s.private("gateway.bot", noMajor, limitRoute, s.gatewayBot))
	m.Post("/applications", s.private("applications.create", noMajor, limitRoute, s.createApplication))
	m.Get("/applications", s.private("applications.list", noMajor, limitRoute, s.listApplications))
	m.Get("/applications/@me", s.private("applications.me", noMajor, limitRoute, s.ownApplication))
	m.Post("/applications/{application}/bot/reset", s.private("applications.reset", noMajor, limitRoute, s.resetToken))
}

func (s *Server) userRoutes(m chi.Router) {
	m.Get("/oauth2/applications/@me", s.private("applications.me", noMajor, limitRoute, s.ownApplication))
	m.Get("/users/@me", s.private("users.me", noMajor, limitRoute, s.ownUser))
	m.Patch("/users/@me", s.private("users.me.edit", noMajor, limitRoute, s.editUser))
	m.Get("/users/@me/channels", s.private("users.me.channels", noMajor, limitRoute, s.listDirects))
	m.Post("/users/@me/channels", s.private("users.me.channels.open", noMajor, limitRoute, s.openDirect))
	m.Get("/users/@me/relationships", s.private("relationships.list", noMajor, limitRoute, s.listRelationships))
	m.Put("/users/@me/relationships/{user}", s.private("relationships.put", noMajor, limitRoute, s.putRelationship))
	m.Delete("/users/@me/relationships/{user}", s.private("relationships.delete", noMajor, limitRoute, s.dropRelationship))
	m.Get("/users/@me/guilds", s.private("users.me.guilds", noMajor, limitRoute, s.ownGuilds))
	m.Delete("/users/@me/guilds/{guild}", s.private("users.me.guilds.leave", noMajor, limitRoute, s.leaveGuild))
	m.Get("/users/@me/guilds/{guild}/member", s.private("users.me.guilds.member", noMajor, limitRoute, s.ownMember))
	m.Get("/users/{user}", s.private("users.get", noMajor, limitRoute, s.getUser))
	m.Get("/invites/{code}", s.private("invites.get", noMajor, limitRoute, s.getInvite))
	m.Delete("/invites/{code}", s.private("invites.delete", noMajor, limitRoute, s.deleteInvite))
	m.Post("/invites/{code}", s.private("invites.join", noMajor, limitRoute, s.joinInvite))
}

func (s *Server) guildRoutes(m chi.Router) {
	guild := func(name string, e endpoint) http.HandlerFunc { return s.private(name, majorGuild, limitRoute, e) }
	m.Post("/guilds", s.private("guilds.create", noMajor, limitRoute, s.createGuild))
	m.Get("/guilds/{guild}", guild("guilds.get", s.getGuild))
	m.Patch("/guilds/{guild}", guild("guilds.edit", s.editGuild))
	m.Delete("/guilds/{guild}", guild("guilds.delete", s.deleteGuild))
	m.Get("/guilds/{guild}/audit-logs", guild("guilds.audit", s.listAuditLog))
	m.Get("/guilds/{guild}/channels", guild("guilds.channels", s.listChannels))
	m.Post("/guilds/{guild}/channels", guild("channels.create", s.createChannel))
	m.Patch("/guilds/{guild}/channels", guild("channels.move", s.moveChannels))
	m.Get("/guilds/{guild}/roles", guild("roles.list", s.listRoles))
	m.Post("/guilds/{guild}/roles", guild("roles.create", s.createRole))
	m.Patch("/guilds/{guild}/roles", guild("roles.move", s.moveRoles))
	m.Get("/guilds/{guild}/roles/{role}", guild("roles.get", s.getRole))
	m.Patch("/guilds/{guild}/roles/{role}", guild("roles.edit", s.editRole))
	m.Delete("/guilds/{guild}/roles/{role}", guild("roles.delete", s.deleteRole))
	m.Get("/guilds/{guild}/members", guild("members.list", s.listMembers))
	m.Get("/guilds/{guild}/members/search", guild("members.search", s.searchMembers))
	m.Patch("/guilds/{guild}/members/@me/nick", guild("members.nick", s.editOwnNick))
	m.Get("/guilds/{guild}/members/{user}", guild("members.get", s.getMember))
	m.Put("/guilds/{guild}/members/{user}", guild("members.add", s.addMember))
	m.Patch("/guilds/{guild}/members/{user}", guild("members.edit", s.editMember))
	m.Delete("/guilds/{guild}/members/{user}", guild("members.remove", s.removeMember))
	m.Put("/guilds/{guild}/members/{user}/roles/{role}", guild("members.roles", s.addMemberRole))
	m.Delete("/guilds/{guild}/members/{user}/roles/{role}", guild("members.roles", s.dropMemberRole))
	m.Get("/guilds/{guild}/bans", guild("bans.list", s.listBans))
	m.Get("/guilds/{guild}/bans/{user}", guild("bans.get", s.getBan))
	m.Put("/guilds/{guild}/bans/{user}", guild("bans.put", s.putBan))
	m.Delete("/guilds/{guild}/bans/{user}", guild("bans.delete", s.deleteBan))
	m.Post("/guilds/{guild}/bulk-ban", guild("bans.bulk", s.bulkBan))
	m.Get("/guilds/{guild}/prune", guild("prune.count", s.countPrune))
	m.Post("/guilds/{guild}/prune", guild("prune", s.prune))
	m.Get("/guilds/{guild}/invites", guild("invites.guild", s.listGuildInvites))
}

func (s *Server) channelRoutes(m chi.Router) {
	channel := func(name string, e endpoint) http.HandlerFunc { return s.private(name, majorChannel, limitRoute, e) }
	m.Get("/channels/{channel}", channel("channels.get", s.getChannel))
	m.Patch("/channels/{channel}", channel("channels.edit", s.editChannel))
	m.Delete("/channels/{channel}", channel("channels.delete", s.deleteChannel))
	m.Put("/channels/{channel}/permissions/{overwrite}", channel("overwrites.put", s.putOverwrite))
	m.Delete("/channels/{channel}/permissions/{overwrite}", channel("overwrites.delete", s.deleteOverwrite))
	m.Get("/channels/{channel}/invites", channel("invites.channel", s.listChannelInvites))
	m.Post("/channels/{channel}/invites", channel("invites.create", s.createInvite))
	m.Get("/channels/{channel}/messages", channel("messages.page", s.pageMessages))
	m.Post("/channels/{channel}/messages", s.private("messages.send", majorChannel, limitSend, s.sendMessage))
	m.Get("/channels/{channel}/messages/{message}", channel("messages.get", s.getMessage))
	m.Patch("/channels/{channel}/messages/{message}", channel("messages.edit", s.editMessage))
	m.Delete("/channels/{channel}/messages/{message}", channel("messages.delete", s.deleteMessage))
	m.Post("/channels/{channel}/typing", channel("typing", s.typing))
}

// postRoutes are about what is done with messages.
func (s *Server) postRoutes(m chi.Router) {
	channel := func(name string, e endpoint) http.HandlerFunc { return s.private(name, majorChannel, limitRoute, e) }
	m.Post("/channels/{channel}/messages/bulk-delete", channel("messages.bulk", s.bulkDelete))
	m.Get("/channels/{channel}/messages/pins", channel("pins.page", s.pagePinned))
	m.Get("/channels/{channel}/pins", channel("pins.list", s.listPinned))
	for _, pins := range []string{"/channels/{channel}/messages/pins/{message}", "/channels/{channel}/pins/{message}"} {
		m.Put(pins, channel("pins.put", s.pinMessage))
		m.Delete(pins, channel("pins.delete", s.unpinMessage))
	}
	const reactions = "/channels/{channel}/messages/{message}/reactions"
	m.Delete(reactions, channel("reactions.clear", s.removeReactions))
	m.Get(reactions+"/{emoji}", channel("reactions.list", s.listReactors))
	m.Delete(reactions+"/{emoji}", channel("reactions.clear", s.removeReactionsOf))
	m.Put(reactions+"/{emoji}/@me", channel("reactions.own", s.addReaction))
	m.Delete(reactions+"/{emoji}/@me", channel("reactions.own", s.removeOwnReaction))
	m.Delete(reactions+"/{emoji}/{user}", channel("reactions.own", s.removeReaction))
}
