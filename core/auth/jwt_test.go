package auth

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const hour = time.Hour

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func openKeys(t *testing.T) *Keys {
	t.Helper()
	k, err := OpenKeys(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestVerifyOwn(t *testing.T) {
	k := openKeys(t)
	want := Claims{User: 42, Login: 7}
	s, err := k.Sign(want, start, hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := SplitBotToken(s); ok {
		t.Error("a JWT is taken for a bot token")
	}
	got, err := k.Verify(s, start.Add(hour-time.Second))
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

// forge signs whatever is asked for with whatever key.
func forge(t *testing.T, method jwt.SigningMethod, key any, header map[string]any, change func(c *jwtClaims)) string {
	t.Helper()
	c := jwtClaims{RegisteredClaims: jwt.RegisteredClaims{Issuer: Issuer, Audience: jwt.ClaimStrings{Audience}, Subject: "42",
		IssuedAt: jwt.NewNumericDate(start), ExpiresAt: jwt.NewNumericDate(start.Add(hour))}, Session: "7"}
	if change != nil {
		change(&c)
	}
	tok := jwt.NewWithClaims(method, c)
	for k, v := range header {
		tok.Header[k] = v
	}
	s, err := tok.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestVerifyRefusesForgeries(t *testing.T) {
	k := openKeys(t)
	kid := map[string]any{"kid": k.signing.kid}
	own := k.signing.private
	public := own.Public().(ed25519.PublicKey)
	_, foreign, _ := ed25519.GenerateKey(rand.Reader)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})
	foreignX := base64.RawURLEncoding.EncodeToString(foreign.Public().(ed25519.PublicKey))
	with := func(extra map[string]any) map[string]any {
		h := map[string]any{"kid": k.signing.kid}
		for name, v := range extra {
			h[name] = v
		}
		return h
	}
	ed := jwt.SigningMethodEdDSA
	if _, err := k.Verify(forge(t, ed, own, kid, nil), start); err != nil {
		t.Fatalf("the forger's base case must pass, got %v", err)
	}
	good := forge(t, ed, own, kid, nil)
	for name, s := range map[string]string{
		"alg none":               forge(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, kid, nil),
		"alg None":               strings.Replace(forge(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, kid, nil), "none", "None", 1),
		"HS256 with public key":  forge(t, jwt.SigningMethodHS256, []byte(public), kid, nil),
		"HS256 with public PEM":  forge(t, jwt.SigningMethodHS256, publicPEM, kid, nil),
		"RS256":                  forge(t, jwt.SigningMethodRS256, rsaKey, kid, nil),
		"wrong kid":              forge(t, ed, own, map[string]any{"kid": "nobody"}, nil),
		"kid of another type":    forge(t, ed, own, map[string]any{"kid": 1}, nil),
		"kid is a path":          forge(t, ed, own, map[string]any{"kid": "../../dev/null"}, nil),
		"no kid":                 forge(t, ed, own, nil, nil),
		"wrong key":              forge(t, ed, foreign, kid, nil),
		"jku header":             forge(t, ed, foreign, with(map[string]any{"jku": "https://evil.example/jwks.json"}), nil),
		"jku header, own key":    forge(t, ed, own, with(map[string]any{"jku": "https://evil.example/jwks.json"}), nil),
		"jwk header":             forge(t, ed, foreign, with(map[string]any{"jwk": map[string]string{"kty": "OKP", "crv": "Ed25519", "x": foreignX}}), nil),
		"crit header":            forge(t, ed, own, with(map[string]any{"crit": []string{"b64"}}), nil),
		"expired":                forge(t, ed, own, kid, func(c *jwtClaims) { c.ExpiresAt = jwt.NewNumericDate(start.Add(-3 * time.Second)) }),
		"no exp":                 forge(t, ed, own, kid, func(c *jwtClaims) { c.ExpiresAt = nil }),
		"issued in the future":   forge(t, ed, own, kid, func(c *jwtClaims) { c.IssuedAt = jwt.NewNumericDate(start.Add(time.Minute)) }),
		"wrong aud":              forge(t, ed, own, kid, func(c *jwtClaims) { c.Audience = jwt.ClaimStrings{"other"} }),
		"no aud":                 forge(t, ed, own, kid, func(c *jwtClaims) { c.Audience = nil }),
		"wrong iss":              forge(t, ed, own, kid, func(c *jwtClaims) { c.Issuer = "other" }),
		"sub 0":                  forge(t, ed, own, kid, func(c *jwtClaims) { c.Subject = "0" }),
		"sub missing":            forge(t, ed, own, kid, func(c *jwtClaims) { c.Subject = "" }),
		"sid missing":            forge(t, ed, own, kid, func(c *jwtClaims) { c.Session = "" }),
		"signature cut":          good[:len(good)-4],
		"signature missing":      good[:strings.LastIndexByte(good, '.')+1],
		"payload exchanged":      exchange(t, good),
		"too long":               good + strings.Repeat("A", MaxToken),
		"trailing":               good + ".x",
		"empty":                  "",
		"leading zeros of a sub": forge(t, ed, foreign, kid, func(c *jwtClaims) { c.Subject = "042" }),
	} {
		if c, err := k.Verify(s, start); !errors.Is(err, ErrBadToken) {
			t.Errorf("%s: got %+v, %v, want ErrBadToken", name, c, err)
		}
	}
}

// exchange puts another user into a signed token.
func exchange(t *testing.T, s string) string {
	parts := strings.Split(s, ".")
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(b), `"42"`, `"43"`, 1)))
	return strings.Join(parts, ".")
}

func TestRotation(t *testing.T) {
	dir := t.TempDir()
	before, err := OpenKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	old, err := before.Sign(Claims{User: 1, Login: 2}, start, hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := AddKey(dir, time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	after, err := OpenKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	if after.signing.kid == before.signing.kid {
		t.Error("the new key does not sign")
	}
	if _, err := after.Verify(old, start); err != nil {
		t.Errorf("a token of the old key: %v", err)
	}
	fresh, err := after.Sign(Claims{User: 1, Login: 2}, start, hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := before.Verify(fresh, start); !errors.Is(err, ErrBadToken) {
		t.Errorf("a key that was never opened verifies: %v", err)
	}
	b, err := json.Marshal(after.JWKS())
	if err != nil || strings.Count(string(b), `"kid"`) != 2 || strings.Contains(string(b), `"d"`) {
		t.Errorf("JWKS %s %v: want two public keys", b, err)
	}
	if before.Derive("x", []byte("id")) != after.Derive("x", []byte("id")) {
		t.Error("the secret changed over a restart")
	}
	if after.Derive("x", []byte("id")) == after.Derive("y", []byte("id")) {
		t.Error("labels share values")
	}
}
