package auth

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/starling-chat/starling/proto"
)

func TestBotTokenRoundTrip(t *testing.T) {
	want := BotToken{User: 175928847299117063, Secret: BotSecret([32]byte{1, 2, 3})}
	s := want.String()
	if strings.ContainsAny(s, "=") || strings.Count(s, ".") != 2 {
		t.Fatalf("token %q: want three parts without padding", s)
	}
	got, ok := SplitBotToken(s)
	if !ok || got != want {
		t.Fatalf("got %+v %v, want %+v", got, ok, want)
	}
	if !got.Matches(want.Hash()) {
		t.Error("token does not match its own hash")
	}
	other := BotToken{User: want.User, Secret: BotSecret([32]byte{1, 2, 4})}
	for name, hash := range map[string][]byte{"nil": nil, "empty": {}, "other": other.Hash(), "short": want.Hash()[:31]} {
		if got.Matches(hash) {
			t.Errorf("token matches hash %s", name)
		}
	}
}

func TestSplitBotTokenRefuses(t *testing.T) {
	b64 := func(s string) string { return base64.RawStdEncoding.EncodeToString([]byte(s)) }
	for name, s := range map[string]string{
		"empty":           "",
		"no dot":          b64("123"),
		"two parts":       b64("123") + ".abc",
		"four parts":      b64("123") + ".a.b.c",
		"empty part":      b64("123") + "..b",
		"empty last":      b64("123") + ".a.",
		"not digits":      b64("12x") + ".a.b",
		"zero":            b64("0") + ".a.b",
		"too large":       b64("99999999999999999999") + ".a.b",
		"padding":         base64.StdEncoding.EncodeToString([]byte("1234")) + ".a.b",
		"loose last bits": "MTJ.a.b",
		"odd characters":  b64("123") + ".a+.b",
		"newline":         b64("123") + ".a.b\n",
		"jwt":             "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIxIn0.c2ln",
		"long":            b64("123") + ".a." + strings.Repeat("b", MaxToken),
	} {
		if got, ok := SplitBotToken(s); ok {
			t.Errorf("%s: got %+v, want refusal", name, got)
		}
	}
}

func TestStrip(t *testing.T) {
	for in, want := range map[string]string{"a.b.c": "a.b.c", "Bot a.b.c": "a.b.c", "bOT   a.b.c ": "a.b.c", "Bearer x": "x", "BEARER x": "x",
		"Bot": "Bot", "": "", "Basic x": "Basic x"} {
		if got := Strip(in); got != want {
			t.Errorf("Strip(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzSplitBotToken(f *testing.F) {
	f.Add(BotToken{User: 1, Secret: BotSecret([32]byte{})}.String())
	f.Add("eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIxIn0.c2ln")
	f.Add("MTIz.a.b")
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := SplitBotToken(s)
		if !ok {
			return
		}
		if got.User == 0 || got.User > 1<<63-1 {
			t.Errorf("user %d out of range", got.User)
		}
		// Leading zeros decode to the same id; everything after the first dot comes back as it was.
		if _, rest, _ := strings.Cut(s, "."); got.Secret != rest {
			t.Errorf("secret %q, want %q", got.Secret, rest)
		}
		if again, ok := SplitBotToken(got.String()); !ok || again != got {
			t.Errorf("%q does not survive its own encoding", s)
		}
	})
}

func FuzzVerify(f *testing.F) {
	keys, err := OpenKeys(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	good, err := keys.Sign(Claims{User: 1, Login: 2}, start, hour)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good + "x")
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := keys.Verify(s, start)
		if err == nil && (s != good || c != Claims{User: proto.ID(1), Login: 2}) {
			t.Errorf("forged: %q", s)
		}
	})
}
