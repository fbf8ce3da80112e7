package api

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/api/form"
	"github.com/starling-chat/starling/core/auth"
	"github.com/starling-chat/starling/proto"
)

// session answers register, login and refresh.
type session struct {
	User         proto.SelfUser `json:"user"`
	Token        string         `json:"token"`
	RefreshToken string         `json:"refresh_token"`
	ExpiresIn    int64          `json:"expires_in"` // seconds
}

// birth is core.Account on its way to the owner, who alone can issue the id.
type birth struct {
	User      newborn  `json:"user"`
	TokenHash []byte   `json:"token_hash,omitempty"`
	OwnerID   proto.ID `json:"owner_id,omitempty"`
}

type newborn struct {
	Username      string `json:"username"`
	Discriminator string `json:"discriminator"`
	Bot           bool   `json:"bot"`
}

const (
	minPassword = 8
	maxPassword = 128
)

func (s *Server) register(c *call) (reply, error) {
	var in struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}
	if err := form.Decode(c.Request, &in); err != nil {
		return reply{}, err
	}
	name, err := checkUsername(in.Username)
	if err != nil {
		return reply{}, err
	}
	if err := form.Length("password", in.Password, minPassword, maxPassword); err != nil {
		return reply{}, err
	}
	id := c.commandID(core.KindUserCreate)
	if err := s.reserve(c, name, id, ""); err != nil { // before the dear part
		return reply{}, err
	}
	hash, err := s.hasher.Hash(c.ctx(), in.Password)
	if err != nil {
		return reply{}, err
	}
	if err := s.reserve(c, name, id, hash); err != nil {
		return reply{}, err
	}
	res, err := s.send(c, c.command(core.KindUserCreate, core.BirthBucket(id)), birth{User: newborn{Username: name, Discriminator: "0"}})
	if err != nil {
		return reply{}, err
	}
	var user proto.SelfUser
	if err := json.Unmarshal(res.Body, &user); err != nil {
		return reply{}, fmt.Errorf("register: user: %w", err)
	}
	return s.open(c, user, http.StatusCreated)
}

// reserve takes a username for a command, and leaves the password hash with it.
func (s *Server) reserve(c *call, name string, command []byte, hash string) error {
	err := s.cfg.Directory.Reserve(c.ctx(), name, command, hash, s.cfg.Now())
	if errors.Is(err, core.ErrTaken) {
		return proto.InvalidForm("username", "USERNAME_ALREADY_TAKEN", "Username is already taken.")
	}
	if err != nil {
		return fmt.Errorf("username: reserve: %w", err)
	}
	return nil
}

func checkUsername(s string) (string, error) {
	s = strings.ToLower(s)
	if err := form.Length("username", s, 2, 32); err != nil {
		return "", err
	}
	for i := range len(s) {
		c := s[i]
		if c != '_' && c != '.' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return "", proto.InvalidForm("username", "USERNAME_INVALID_CHARACTERS", "Only letters a-z, digits, _ and . may be used.")
		}
	}
	return s, nil
}

func (s *Server) login(c *call) (reply, error) {
	var in struct {
		Login    string `json:"login"`
		Password string `json:"password"`
	}
	if err := form.Decode(c.Request, &in); err != nil {
		return reply{}, err
	}
	switch {
	case in.Login == "":
		return reply{}, form.Required("login")
	case in.Password == "":
		return reply{}, form.Required("password")
	}
	var account core.Account
	if name, err := checkUsername(in.Login); err == nil {
		account, err = s.cfg.Directory.AccountByName(c.ctx(), name)
		if err != nil && !errors.Is(err, core.ErrNotFound) {
			return reply{}, fmt.Errorf("login: %w", err)
		}
	}
	if len(in.Password) > 4*maxPassword { // as it was never accepted: not worth the hash's own pass over it
		in.Password = in.Password[:4*maxPassword]
	}
	// Unknown names take as long as known ones: nobody learns here who has an account.
	ok, err := s.hasher.Verify(c.ctx(), account.PasswordHash, in.Password)
	if err != nil {
		return reply{}, fmt.Errorf("login: %w", err)
	}
	if !ok {
		return reply{}, proto.InvalidForm("login", "INVALID_LOGIN", "Login or password is invalid.")
	}
	return s.open(c, account.User.Self(), http.StatusOK)
}

// open stores a new login of a person and answers its tokens.
func (s *Server) open(c *call, user proto.SelfUser, status int) (reply, error) {
	now := s.cfg.Now()
	var entropy [32]byte
	rand.Read(entropy[:]) // never fails
	refresh := auth.RefreshToken(entropy)
	l := core.Login{ID: newLoginID(), User: user.ID, RefreshHash: auth.HashSecret(refresh), Expires: now.Add(refreshLife)}
	if err := s.cfg.Directory.AddLogin(c.ctx(), l); err != nil {
		return reply{}, fmt.Errorf("user %d: add login: %w", user.ID, err)
	}
	return s.session(c, user, l, refresh, status)
}

func (s *Server) session(c *call, user proto.SelfUser, l core.Login, refresh string, status int) (reply, error) {
	token, err := s.cfg.Keys.Sign(auth.Claims{User: l.User, Login: l.ID}, s.cfg.Now(), s.cfg.AccessLife)
	if err != nil {
		return reply{}, fmt.Errorf("user %d: %w", l.User, err)
	}
	c.w.Header().Set("Cache-Control", "no-store")
	return reply{status, session{User: user, Token: token, RefreshToken: refresh, ExpiresIn: int64(s.cfg.AccessLife / time.Second)}}, nil
}

// newLoginID is random: logins are of no bucket, and nobody is to count them.
func newLoginID() proto.ID {
	var b [8]byte
	rand.Read(b[:])
	return proto.ID(binary.BigEndian.Uint64(b[:])>>1 | 1)
}

type refreshBody struct {
	RefreshToken string `json:"refresh_token"`
}

func (s *Server) refresh(c *call) (reply, error) {
	var in refreshBody
	if err := form.Decode(c.Request, &in); err != nil {
		return reply{}, err
	}
	if in.RefreshToken == "" {
		return reply{}, form.Required("refresh_token")
	}
	now := s.cfg.Now()
	// Derived from the call and the old token: an edge that lost our answer repeats the call, finds the token used up, and the successor
	// already in its place. Without the old token nobody can name the successor.
	sum := s.cfg.Keys.Derive("refresh", append(c.commandID("refresh"), in.RefreshToken...))
	next := auth.RefreshToken(sum)
	was, is := auth.HashSecret(in.RefreshToken), auth.HashSecret(next)
	l, err := s.cfg.Directory.RotateLogin(c.ctx(), was, is, now, now.Add(refreshLife))
	if errors.Is(err, core.ErrNotFound) {
		l, err = s.cfg.Directory.RotateLogin(c.ctx(), is, is, now, now.Add(refreshLife))
	}
	if errors.Is(err, core.ErrNotFound) {
		return reply{}, proto.ErrUnauthorized
	}
	if err != nil {
		return reply{}, fmt.Errorf("refresh: %w", err)
	}
	user, err := s.cfg.Directory.User(c.ctx(), l.User)
	if err != nil {
		return reply{}, fmt.Errorf("refresh: user %d: %w", l.User, err)
	}
	return s.session(c, user.Self(), l, next, http.StatusOK)
}

// logout is answered 204 also for a token that is unknown or used up: it is what the client wanted.
func (s *Server) logout(c *call) (reply, error) {
	var in refreshBody
	if err := form.Decode(c.Request, &in); err != nil {
		return reply{}, err
	}
	if in.RefreshToken == "" {
		return reply{}, form.Required("refresh_token")
	}
	l, err := s.cfg.Directory.RevokeLogin(c.ctx(), auth.HashSecret(in.RefreshToken))
	if errors.Is(err, core.ErrNotFound) {
		return reply{status: http.StatusNoContent}, nil
	}
	if err != nil {
		return reply{}, fmt.Errorf("logout: %w", err)
	}
	s.who.forgetLogin(l.ID)
	cmd := c.command(core.KindSessionGone, l.User.Bucket())
	cmd.Target = uint64(l.User)
	// The login is revoked: the edges must hear of it though the client may hang up now.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx()), 8*time.Second)
	defer cancel()
	c.Request = c.WithContext(ctx)
	if _, err := s.send(c, cmd, core.SessionGone{Session: l.ID}); err != nil {
		return reply{}, fmt.Errorf("logout: %w", err)
	}
	return reply{status: http.StatusNoContent}, nil
}

func (s *Server) jwks(c *call) (reply, error) {
	c.w.Header().Set("Cache-Control", "public, max-age=300")
	return reply{http.StatusOK, s.cfg.Keys.JWKS()}, nil
}
