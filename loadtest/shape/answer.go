package shape

import (
	"fmt"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// routes maps "METHOD /path" with {} for one segment to the shape of a 2xx body; nil: 204 without a body.
var routes = map[string]Shape{
	"POST /auth/register":                    Login.Shape(),
	"POST /auth/login":                       Login.Shape(),
	"POST /auth/refresh":                     Login.Without("user").Shape(),
	"POST /auth/logout":                      nil,
	"POST /applications":                     NewApp.Shape(),
	"POST /applications/{}/bot/reset":        Obj{"token": BotToken}.Shape(),
	"GET /gateway":                           Obj{"url": gatewayURL}.Shape(),
	"GET /gateway/bot":                       All(GatewayBot.Shape(), Obj{"url": gatewayURL}.Shape()),
	"GET /users/@me":                         SelfUser.Shape(),
	"GET /users/{}":                          User.Shape(),
	"GET /oauth2/applications/@me":           Application.Shape(),
	"GET /applications/@me":                  Application.Shape(),
	"POST /guilds":                           Guild.Shape(),
	"GET /guilds/{}":                         Guild.Shape(),
	"GET /guilds/{}/channels":                List(Channel.Shape()),
	"POST /guilds/{}/channels":               Channel.Shape(),
	"GET /channels/{}":                       Channel.Shape(),
	"PATCH /channels/{}":                     Channel.Shape(),
	"DELETE /channels/{}":                    Channel.Shape(),
	"PUT /channels/{}/permissions/{}":        nil,
	"DELETE /channels/{}/permissions/{}":     nil,
	"GET /guilds/{}/roles":                   List(Role.Shape()),
	"POST /guilds/{}/roles":                  Role.Shape(),
	"PATCH /guilds/{}/roles/{}":              Role.Shape(),
	"DELETE /guilds/{}/roles/{}":             nil,
	"GET /guilds/{}/members":                 List(Member.Shape()),
	"GET /guilds/{}/members/{}":              Member.Shape(),
	"PATCH /guilds/{}/members/{}":            Member.Shape(),
	"DELETE /guilds/{}/members/{}":           nil,
	"PUT /guilds/{}/members/{}":              Member.Shape(), // 201 for a new one, 204 for one who is in
	"PUT /guilds/{}/members/{}/roles/{}":     nil,
	"DELETE /guilds/{}/members/{}/roles/{}":  nil,
	"POST /channels/{}/invites":              Invite.Shape(),
	"GET /invites/{}":                        Invite.Shape(),
	"POST /invites/{}":                       Invite.Shape(),
	"POST /channels/{}/messages":             Message.Shape(),
	"GET /channels/{}/messages":              List(Message.Shape()),
	"GET /channels/{}/messages/{}":           Message.Shape(),
	"PATCH /channels/{}/messages/{}":         Message.Shape(),
	"DELETE /channels/{}/messages/{}":        nil,
	"POST /channels/{}/messages/bulk-delete": nil,
	"POST /channels/{}/typing":               nil,
}

func route(method, path string) (Shape, bool) {
	path, _, _ = strings.Cut(path, "?")
	want := strings.Split(path, "/")
	if s, ok := routes[method+" "+path]; ok {
		return s, true
	}
	var found Shape
	least := len(want) + 1 // segments that are not named: /members/search is no member
next:
	for pattern, s := range routes {
		m, p, _ := strings.Cut(pattern, " ")
		parts := strings.Split(p, "/")
		if m != method || len(parts) != len(want) {
			continue
		}
		open := 0
		for i := range parts {
			switch parts[i] {
			case want[i]:
			case "{}":
				open++
			default:
				continue next
			}
		}
		if open < least {
			found, least = s, open
		}
	}
	return found, least <= len(want)
}

// Answer compares one REST answer with its form. path is without the /api/v10 in front.
func Answer(method, path string, status int, h http.Header, body []byte) []string {
	name := fmt.Sprintf("%s %s: %d", method, path, status)
	var problems []string
	tell := func(format string, args ...any) { problems = append(problems, name+": "+fmt.Sprintf(format, args...)) }
	if h.Get("Via") == "" {
		tell("no Via header")
	}
	if status == http.StatusNoContent {
		if len(body) > 0 {
			tell("body %.80q, want none", body)
		}
	} else if ct := h.Get("Content-Type"); ct != "application/json" {
		tell("Content-Type %q, want application/json and no more", ct)
	}
	for _, p := range limitHeaders(h) {
		tell("%s", p)
	}
	switch {
	case status == http.StatusTooManyRequests:
		for _, p := range tooMany(h, body) {
			tell("%s", p)
		}
	case status >= 400:
		problems = append(problems, Error.Shape().Check(name, body)...)
	default:
		s, known := route(method, path)
		switch {
		case !known:
			tell("a route without a shape")
		case s == nil && status != http.StatusNoContent:
			tell("want 204 without a body")
		case s != nil && status != http.StatusNoContent:
			problems = append(problems, s.Check(name, body)...)
		}
		if status != 200 && status != 201 && status != 204 {
			tell("some clients take it for an error")
		}
	}
	return problems
}

// limitKeys are there all together or not at all.
var limitKeys = []string{"X-RateLimit-Bucket", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "X-RateLimit-Reset-After",
	"X-RateLimit-Scope"}

var integer = regexp.MustCompile(`^[0-9]+$`)

func limitHeaders(h http.Header) []string {
	var there, missing []string
	for _, k := range limitKeys {
		if h.Get(k) != "" {
			there = append(there, k)
		} else {
			missing = append(missing, k)
		}
	}
	if len(there) == 0 {
		return nil
	}
	var problems []string
	if len(missing) > 0 {
		problems = append(problems, fmt.Sprintf("rate-limit headers without %s", strings.Join(missing, ", ")))
	}
	for _, k := range []string{"X-RateLimit-Limit", "X-RateLimit-Remaining"} {
		if !integer.MatchString(h.Get(k)) {
			problems = append(problems, fmt.Sprintf("%s %q, want an integer", k, h.Get(k)))
		}
	}
	for _, k := range []string{"X-RateLimit-Reset", "X-RateLimit-Reset-After"} {
		if f, err := strconv.ParseFloat(h.Get(k), 64); err != nil || f < 0 {
			problems = append(problems, fmt.Sprintf("%s %q, want seconds", k, h.Get(k)))
		}
	}
	switch h.Get("X-RateLimit-Scope") {
	case "user", "global", "shared":
	default:
		problems = append(problems, fmt.Sprintf("X-RateLimit-Scope %q, want user, global or shared", h.Get("X-RateLimit-Scope")))
	}
	return problems
}

// HasLimit tells whether an answer carries the headers of a limited route.
func HasLimit(h http.Header) bool { return h.Get("X-RateLimit-Limit") != "" }

func tooMany(h http.Header, body []byte) []string {
	problems := Limited.Shape().Check("429", body)
	if !HasLimit(h) {
		problems = append(problems, "429 without rate-limit headers")
	}
	after, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || after < 1 {
		problems = append(problems, fmt.Sprintf("Retry-After %q, want whole seconds, rounded up", h.Get("Retry-After")))
	}
	v, err := decode(body)
	m, _ := v.(map[string]any)
	if err != nil || m == nil {
		return problems
	}
	wait, _ := strconv.ParseFloat(fmt.Sprint(m["retry_after"]), 64)
	if wait <= 0 || int(math.Ceil(wait)) > after {
		problems = append(problems, fmt.Sprintf("retry_after %v with Retry-After %d", m["retry_after"], after))
	}
	if global := h.Get("X-RateLimit-Global") == "true"; global != (m["global"] == true) {
		problems = append(problems, fmt.Sprintf("global is %v with X-RateLimit-Global %q", m["global"], h.Get("X-RateLimit-Global")))
	}
	return problems
}
