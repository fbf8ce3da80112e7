package auth

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/starling-chat/starling/proto"
)

// Who issues people's tokens and whom they are for.
const (
	Issuer   = "starling"
	Audience = "starling"
)

// ErrBadToken says that a token proves nothing; what is wrong with it is wrapped.
var ErrBadToken = errors.New("bad token")

// Claims are what a person's JWT says: the user and the login that it came from.
type Claims struct {
	User  proto.ID
	Login proto.ID
}

type jwtClaims struct {
	jwt.RegisteredClaims
	Session string `json:"sid"`
}

// Sign makes a person's JWT.
func (k *Keys) Sign(c Claims, now time.Time, life time.Duration) (string, error) {
	t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwtClaims{
		RegisteredClaims: jwt.RegisteredClaims{Issuer: Issuer, Audience: jwt.ClaimStrings{Audience}, Subject: c.User.String(),
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(life))},
		Session: c.Login.String(),
	})
	t.Header["kid"] = k.signing.kid
	s, err := t.SignedString(k.signing.private)
	if err != nil {
		return "", fmt.Errorf("jwt: %w", err)
	}
	return s, nil
}

// Verify checks a person's JWT: EdDSA by one of our keys, named by kid, from us, for us, not expired. Every error is ErrBadToken.
func (k *Keys) Verify(token string, now time.Time) (Claims, error) {
	if len(token) > MaxToken {
		return Claims{}, fmt.Errorf("%w: %d bytes", ErrBadToken, len(token))
	}
	var c jwtClaims
	_, err := jwt.ParseWithClaims(token, &c, k.keyFor,
		jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}), // the header's alg chooses nothing
		jwt.WithIssuer(Issuer), jwt.WithAudience(Audience), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithLeeway(2*time.Second), // clocks of cores differ
		jwt.WithStrictDecoding(), jwt.WithTimeFunc(func() time.Time { return now }))
	if err != nil {
		return Claims{}, fmt.Errorf("%w: %w", ErrBadToken, err)
	}
	user, err := proto.ParseID(c.Subject)
	if err != nil {
		return Claims{}, fmt.Errorf("%w: sub: %w", ErrBadToken, err)
	}
	login, err := proto.ParseID(c.Session)
	if err != nil {
		return Claims{}, fmt.Errorf("%w: sid: %w", ErrBadToken, err)
	}
	return Claims{User: user, Login: login}, nil
}

// keyFor picks our own key by kid. Keys that a token brings along or points to are never used; we issue no such token, so it is forged.
func (k *Keys) keyFor(t *jwt.Token) (any, error) {
	for _, h := range []string{"jku", "jwk", "x5u", "x5c", "crit"} {
		if _, found := t.Header[h]; found {
			return nil, fmt.Errorf("header %s", h)
		}
	}
	kid, _ := t.Header["kid"].(string)
	public, found := k.byKid[kid]
	if !found {
		return nil, errors.New("unknown kid")
	}
	return public, nil
}
