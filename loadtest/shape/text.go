package shape

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

var tokenPart = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// BotToken is base64 of the decimal id without padding, a dot, a part, a dot, a part.
func BotToken(path string, v any, tell func(string)) {
	s, _ := v.(string)
	parts := strings.Split(s, ".")
	if len(parts) != 3 || !tokenPart.MatchString(parts[1]) || !tokenPart.MatchString(parts[2]) {
		tell(fmt.Sprintf("%s: got a token of %d parts, want id.x.y", path, len(parts)))
		return
	}
	id, err := base64.RawStdEncoding.DecodeString(parts[0])
	if err != nil || !digits.Match(id) {
		tell(fmt.Sprintf("%s: first part of the token is %q, want base64 of the decimal id without padding", path, parts[0]))
	}
}

var sessionForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func sessionID(path string, v any, tell func(string)) {
	if s, ok := v.(string); !ok || !sessionForm.MatchString(s) {
		tell(fmt.Sprintf("%s: got %s, want at most 64 URL-safe characters", path, short(v)))
	}
}

// gatewayURL is absolute, ws or wss, with a path, without query, fragment or trailing slash.
func gatewayURL(path string, v any, tell func(string)) {
	s, _ := v.(string)
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "ws" && u.Scheme != "wss") || u.Host == "" || u.Path == "" || u.RawQuery != "" || u.Fragment != "" ||
		strings.HasSuffix(s, "/") {
		tell(fmt.Sprintf("%s: got %s, want ws://host:port/gateway", path, short(v)))
	}
}
