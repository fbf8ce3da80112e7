package api

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestCheckNonce(t *testing.T) {
	for in, ok := range map[string]bool{``: true, `null`: true, `"abc"`: true, `123`: true, `-5`: true, `18446744073709551615`: true,
		`"` + strings.Repeat("x", 25) + `"`: true, `"` + strings.Repeat("x", 26) + `"`: false, `1.5`: false, `{}`: false, `[]`: false, `true`: false,
		`1e5`: false, strings.Repeat("1", 26): false} {
		got, err := checkNonce(json.RawMessage(in))
		if (err == nil) != ok {
			t.Errorf("nonce %s: %v, want ok %v", in, err, ok)
		}
		if ok && in != "null" && string(got) != in {
			t.Errorf("nonce %s came back as %s: the client wants its own", in, got)
		}
	}
}
