package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/api/form"
	"github.com/starling-chat/starling/core/auth"
	"github.com/starling-chat/starling/proto"
)

var (
	errNoBots   = &proto.Error{Status: http.StatusForbidden, Code: 20001, Message: "Bots cannot use this endpoint"}
	errOnlyBots = &proto.Error{Status: http.StatusForbidden, Code: 20002, Message: "Only bots can use this endpoint"}
)

// newApplication answers POST /applications: the token is shown this once.
type newApplication struct {
	ID    proto.ID   `json:"id"` // also of the bot, and in its token: client libraries count on it
	Name  string     `json:"name"`
	Bot   proto.User `json:"bot"`
	Token string     `json:"token"`
}

// application is what a bot is told about itself; every key is read by some client.
type application struct {
	ID                      proto.ID   `json:"id"`
	Name                    string     `json:"name"`
	Icon                    *string    `json:"icon"`
	Description             string     `json:"description"`
	Summary                 string     `json:"summary"`
	BotPublic               bool       `json:"bot_public"`
	BotRequireCodeGrant     bool       `json:"bot_require_code_grant"`
	VerifyKey               string     `json:"verify_key"`
	Owner                   proto.User `json:"owner"`
	Bot                     proto.User `json:"bot"`
	Team                    *string    `json:"team"`
	Flags                   int        `json:"flags"`
	Tags                    []string   `json:"tags"`
	RedirectURIs            []string   `json:"redirect_uris"`
	InteractionsEndpointURL *string    `json:"interactions_endpoint_url"`
	RPCOrigins              []string   `json:"rpc_origins"`
}

func (s *Server) createApplication(c *call) (reply, error) {
	if c.who.bot() {
		return reply{}, errNoBots
	}
	var in struct {
		Name string `json:"name"`
	}
	if err := form.Decode(c.Request, &in); err != nil {
		return reply{}, err
	}
	in.Name = strings.TrimSpace(in.Name)
	if err := form.Length("name", in.Name, 2, 32); err != nil {
		return reply{}, err
	}
	if strings.ContainsFunc(in.Name, unicode.IsControl) {
		return reply{}, proto.InvalidForm("name", "BASE_TYPE_BAD_CHARACTERS", "Must not contain control characters.")
	}
	id := c.commandID(core.KindUserCreate)
	secret := s.botSecret(id)
	res, err := s.send(c, c.command(core.KindUserCreate, core.BirthBucket(id)),
		birth{User: newborn{Username: in.Name, Discriminator: "0", Bot: true}, TokenHash: auth.HashSecret(secret), OwnerID: c.who.User})
	if err != nil {
		return reply{}, err
	}
	var bot proto.SelfUser
	if err := json.Unmarshal(res.Body, &bot); err != nil {
		return reply{}, fmt.Errorf("application: bot: %w", err)
	}
	c.w.Header().Set("Cache-Control", "no-store")
	s.who.forgetBot(bot.ID)
	return reply{http.StatusCreated, newApplication{ID: bot.ID, Name: bot.Username, Bot: bot.User,
		Token: auth.BotToken{User: bot.ID, Secret: secret}.String()}}, nil
}

// botSecret is derived from the command's id: the call repeated by an edge is answered with the token whose hash was stored the first time.
func (s *Server) botSecret(command []byte) string {
	return auth.BotSecret(s.cfg.Keys.Derive("bot token", command))
}

func (s *Server) resetToken(c *call) (reply, error) {
	if c.who.bot() {
		return reply{}, errNoBots
	}
	app, err := c.pathID("application")
	if err != nil {
		return reply{}, err
	}
	account, err := s.cfg.Directory.Account(c.ctx(), app)
	switch {
	case errors.Is(err, core.ErrNotFound) || err == nil && !account.User.Bot:
		return reply{}, proto.ErrUnknownApp
	case err != nil:
		return reply{}, fmt.Errorf("application %d: %w", app, err)
	case account.OwnerID != c.who.User:
		return reply{}, proto.ErrMissingAccess
	}
	cmd := c.command(core.KindTokenReset, app.Bucket())
	cmd.Target = uint64(app)
	secret := s.botSecret(cmd.Id)
	if _, err := s.send(c, cmd, core.TokenReset{TokenHash: auth.HashSecret(secret)}); err != nil {
		return reply{}, err
	}
	s.who.forgetBot(app)
	c.w.Header().Set("Cache-Control", "no-store")
	return reply{http.StatusOK, map[string]string{"token": auth.BotToken{User: app, Secret: secret}.String()}}, nil
}

// listApplications lists what a person made, without tokens.
func (s *Server) listApplications(c *call) (reply, error) {
	if c.who.bot() {
		return reply{}, errNoBots
	}
	bots, err := s.cfg.Directory.BotsOf(c.ctx(), c.who.User)
	if err != nil {
		return reply{}, fmt.Errorf("bots of %d: %w", c.who.User, err)
	}
	owner, err := s.cfg.Directory.User(c.ctx(), c.who.User)
	if err != nil {
		return reply{}, fmt.Errorf("user %d: %w", c.who.User, err)
	}
	apps := make([]application, 0, len(bots))
	for _, b := range bots {
		apps = append(apps, applicationOf(b, owner))
	}
	return reply{http.StatusOK, apps}, nil
}

func (s *Server) ownApplication(c *call) (reply, error) {
	if !c.who.bot() {
		return reply{}, errOnlyBots
	}
	account, err := s.cfg.Directory.Account(c.ctx(), c.who.User)
	if err != nil {
		return reply{}, fmt.Errorf("bot %d: %w", c.who.User, err)
	}
	owner, err := s.cfg.Directory.User(c.ctx(), account.OwnerID)
	if errors.Is(err, core.ErrNotFound) {
		owner = account.User // clients need an owner
	} else if err != nil {
		return reply{}, fmt.Errorf("user %d: %w", account.OwnerID, err)
	}
	return reply{http.StatusOK, applicationOf(account.User, owner)}, nil
}

func applicationOf(bot, owner proto.User) application {
	return application{ID: bot.ID, Name: bot.Username, BotPublic: true, Owner: owner, Bot: bot,
		Tags: []string{}, RedirectURIs: []string{}, RPCOrigins: []string{}}
}
