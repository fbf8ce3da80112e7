package auth

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	keySuffix  = ".jwt.pem" // a private key in PKCS #8; the file that sorts last signs
	secretFile = "secret"   // 32 random bytes: see Derive
	pemType    = "PRIVATE KEY"
)

// Keys are the signing keys of a region and the secret that retries derive the same values from. The newest key signs, all of them
// verify, each by its kid: to rotate, add a key (AddKey), and remove the old file once its last token has run out. Immutable after OpenKeys.
type Keys struct {
	signing key
	byKid   map[string]ed25519.PublicKey
	order   []string // kids, oldest first
	secret  [32]byte
}

type key struct {
	kid     string
	private ed25519.PrivateKey
}

// OpenKeys reads the keys of a folder and makes what is missing: on the first start a key and the secret, readable by their owner only.
func OpenKeys(dir string) (*Keys, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	names, err := keyFiles(dir)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	if len(names) == 0 {
		if err := AddKey(dir, time.Now()); err != nil {
			return nil, err
		}
		if names, err = keyFiles(dir); err != nil {
			return nil, fmt.Errorf("keys: %w", err)
		}
	}
	k := &Keys{byKid: make(map[string]ed25519.PublicKey)}
	for _, name := range names {
		if k.signing, err = readKey(name); err != nil {
			return nil, fmt.Errorf("keys: %s: %w", filepath.Base(name), err)
		}
		public := k.signing.private.Public().(ed25519.PublicKey)
		k.byKid[k.signing.kid] = public
		k.order = append(k.order, k.signing.kid)
	}
	if k.secret, err = openSecret(filepath.Join(dir, secretFile)); err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	return k, nil
}

// AddKey makes a new key in the folder; processes that open the folder from then on sign with it.
func AddKey(dir string, now time.Time) error {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	name := filepath.Join(dir, now.UTC().Format("20060102T150405.000000000")+keySuffix)
	if err := writeOnce(name, pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der})); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	return nil
}

// Derive gives bytes that nobody without the secret can guess and that are the same on every try of the same id: a repeated request is
// answered with the same bot token and the same invite code.
func (k *Keys) Derive(label string, id []byte) [32]byte {
	mac := hmac.New(sha256.New, k.secret[:])
	mac.Write([]byte(label))
	mac.Write([]byte{0})
	mac.Write(id)
	return [32]byte(mac.Sum(nil))
}

// A JWKSet is the document at /.well-known/jwks.json (RFC 7517, RFC 8037).
type JWKSet struct {
	Keys []JWK `json:"keys"`
}

// A JWK is one public key.
type JWK struct {
	KeyType string `json:"kty"`
	Curve   string `json:"crv"`
	X       string `json:"x"`
	ID      string `json:"kid"`
	Use     string `json:"use"`
	Alg     string `json:"alg"`
}

// JWKS lists the public keys, oldest first.
func (k *Keys) JWKS() JWKSet {
	set := JWKSet{Keys: make([]JWK, 0, len(k.order))}
	for _, kid := range k.order {
		set.Keys = append(set.Keys, JWK{KeyType: "OKP", Curve: "Ed25519", X: base64.RawURLEncoding.EncodeToString(k.byKid[kid]),
			ID: kid, Use: "sig", Alg: "EdDSA"})
	}
	return set
}

// keyFiles lists the key files of the folder, oldest first.
func keyFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), keySuffix) && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	slices.Sort(names)
	return names, nil
}

func readKey(name string) (key, error) {
	b, err := readPrivate(name)
	if err != nil {
		return key{}, err
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != pemType {
		return key{}, errors.New("no private key in PEM form")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return key{}, err
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return key{}, fmt.Errorf("want an Ed25519 key, got %T", parsed)
	}
	return key{kid: kidOf(private.Public().(ed25519.PublicKey)), private: private}, nil
}

// kidOf names a key by its own bytes, so that two folders with the same key agree.
func kidOf(public ed25519.PublicKey) string {
	sum := sha256.Sum256(public)
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

func openSecret(name string) (s [32]byte, err error) {
	b, err := readPrivate(name)
	if errors.Is(err, os.ErrNotExist) {
		rand.Read(s[:]) // never fails
		if err := writeOnce(name, s[:]); err != nil && !errors.Is(err, os.ErrExist) {
			return s, err
		}
		b, err = readPrivate(name)
	}
	if err != nil {
		return s, err
	}
	if len(b) != len(s) {
		return s, fmt.Errorf("%s: want %d bytes, got %d", filepath.Base(name), len(s), len(b))
	}
	return [32]byte(b), nil
}

// readPrivate refuses a file that others may read: a leaked key forges every token.
func readPrivate(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s: mode %v, want 0600", filepath.Base(name), info.Mode().Perm())
	}
	if info.Size() > 1<<16 {
		return nil, fmt.Errorf("%s: %d bytes is no key", filepath.Base(name), info.Size())
	}
	return os.ReadFile(name)
}

// writeOnce puts a whole file in place or none; os.ErrExist if somebody was first.
func writeOnce(name string, b []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(b)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Link(tmp.Name(), name)
}
