// Package seed fills a mesh with people: an owner, a guild, channels, users who join by invite, and bots. It speaks only the public API,
// as anybody could, keeps to the limits it is told (429), and knows nothing of how the mesh is built.
package seed

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"

	"golang.org/x/sync/errgroup"
)

// Config says what to make.
type Config struct {
	URL             string // http(s)://host:port of an edge or of the public address
	Users           int
	Bots            int
	Channels        int
	Guild           string // name
	SessionsPerUser int    // logins of each user, at least 1
	HTTP            *http.Client
	Step            func() // called after each of Steps calls, by any goroutine
}

// atOnce bounds the calls under way: enough to keep a core busy with password hashes, too few to flood it.
const atOnce = 8

// A Result is what was made.
type Result struct {
	GuildID    string   `json:"guild_id"`
	ChannelIDs []string `json:"channel_ids"`
	Owner      Person   `json:"owner"`
	Users      []Person `json:"users"`
	Bots       []Bot    `json:"bots"`
}

// A Person is a user with what is needed to act as one.
type Person struct {
	ID           string  `json:"id"`
	Username     string  `json:"username"`
	Password     string  `json:"password"`
	Token        string  `json:"token"`
	RefreshToken string  `json:"refresh_token"`
	Sessions     []Login `json:"sessions,omitempty"` // beyond the first, with --sessions-per-user
}

// A Login is one more session of a user.
type Login struct {
	Token        string `json:"token"`
	RefreshToken string `json:"refresh_token"`
}

// A Bot is a bot with its token.
type Bot struct {
	ID    string `json:"id"`
	Token string `json:"token"`
}

// Steps is how many calls Run makes.
func (c *Config) Steps() int {
	return 3 + c.Channels + c.Users*(1+c.SessionsPerUser) + 2*c.Bots
}

// Run makes everything; on an error nothing is taken back, since names are new with each run.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	s := &seeder{api: &client{base: cfg.URL + "/api/v10", http: cfg.HTTP, step: cfg.Step}, cfg: cfg, run: randomHex(3)}
	return s.all(ctx)
}

type seeder struct {
	api *client
	cfg Config
	run string // tells the names of this run from those of others
}

func (s *seeder) all(ctx context.Context) (*Result, error) {
	r := &Result{ChannelIDs: []string{}, Users: make([]Person, s.cfg.Users), Bots: make([]Bot, s.cfg.Bots)}
	var err error
	if r.Owner, err = s.register(ctx, "owner"); err != nil {
		return nil, fmt.Errorf("owner: %w", err)
	}
	var made struct {
		ID string `json:"id"`
	}
	if err := s.api.call(ctx, "POST", "/guilds", r.Owner.Token, map[string]any{"name": s.cfg.Guild}, &made); err != nil {
		return nil, fmt.Errorf("guild: %w", err)
	}
	r.GuildID = made.ID
	for i := range s.cfg.Channels { // one after another, so that they stand in this order
		body := map[string]any{"name": fmt.Sprintf("channel-%d", i+1), "type": 0}
		if err := s.api.call(ctx, "POST", "/guilds/"+r.GuildID+"/channels", r.Owner.Token, body, &made); err != nil {
			return nil, fmt.Errorf("channel %d: %w", i+1, err)
		}
		r.ChannelIDs = append(r.ChannelIDs, made.ID)
	}
	var invite struct {
		Code string `json:"code"`
	}
	if err := s.api.call(ctx, "POST", "/channels/"+r.ChannelIDs[0]+"/invites", r.Owner.Token, map[string]any{"max_age": 0}, &invite); err != nil {
		return nil, fmt.Errorf("invite: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i := range r.Users {
		g.Go(func() (err error) {
			if r.Users[i], err = s.user(ctx, fmt.Sprintf("user%d", i+1), invite.Code); err != nil {
				err = fmt.Errorf("user %d: %w", i+1, err)
			}
			return err
		})
	}
	for i := range r.Bots {
		g.Go(func() (err error) {
			if r.Bots[i], err = s.bot(ctx, fmt.Sprintf("bot%d", i+1), r); err != nil {
				err = fmt.Errorf("bot %d: %w", i+1, err)
			}
			return err
		})
	}
	return r, g.Wait()
}

// register makes an account.
func (s *seeder) register(ctx context.Context, name string) (Person, error) {
	p := Person{Username: name + "_" + s.run, Password: randomHex(12)}
	var out struct {
		User struct {
			ID string `json:"id"`
		} `json:"user"`
		Login
	}
	err := s.api.call(ctx, "POST", "/auth/register", "", map[string]any{"username": p.Username, "password": p.Password}, &out)
	p.ID, p.Token, p.RefreshToken = out.User.ID, out.Token, out.RefreshToken
	return p, err
}

// user makes an account that joins the guild and logs in as often as asked.
func (s *seeder) user(ctx context.Context, name, code string) (Person, error) {
	p, err := s.register(ctx, name)
	if err != nil {
		return p, err
	}
	if err := s.api.call(ctx, "POST", "/invites/"+url.PathEscape(code), p.Token, map[string]any{}, nil); err != nil {
		return p, fmt.Errorf("join: %w", err)
	}
	for range s.cfg.SessionsPerUser - 1 {
		var l Login
		if err := s.api.call(ctx, "POST", "/auth/login", "", map[string]any{"login": p.Username, "password": p.Password}, &l); err != nil {
			return p, fmt.Errorf("login: %w", err)
		}
		p.Sessions = append(p.Sessions, l)
	}
	return p, nil
}

// bot makes an application of the owner and adds its bot to the guild.
func (s *seeder) bot(ctx context.Context, name string, r *Result) (Bot, error) {
	var b Bot
	if err := s.api.call(ctx, "POST", "/applications", r.Owner.Token, map[string]any{"name": name + "_" + s.run}, &b); err != nil {
		return b, err
	}
	err := s.api.call(ctx, "PUT", "/guilds/"+r.GuildID+"/members/"+b.ID, r.Owner.Token, map[string]any{}, nil)
	return b, err
}

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}
