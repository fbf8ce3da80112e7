package shape

import (
	"net/http"
	"strings"
	"testing"
)

const goodUser = `{"id":"7","username":"ann","discriminator":"0","global_name":null,"avatar":null,"bot":true,"system":false,` +
	`"public_flags":0,"banner":null,"accent_color":null}`

func message(edit ...string) string {
	s := `{"id":"9","channel_id":"8","guild_id":"6","author":` + goodUser + `,"content":"x","timestamp":"2026-01-02T03:04:05.678000+00:00",` +
		`"edited_timestamp":null,"tts":false,"mention_everyone":false,"mentions":[],"mention_roles":[],"attachments":[],"embeds":[],` +
		`"pinned":false,"type":0,"flags":0,"components":[],"member":{"nick":null,"avatar":null,"roles":[],` +
		`"joined_at":"2026-01-02T03:04:05.678000+00:00","premium_since":null,"deaf":false,"mute":false,"flags":0,"pending":false,` +
		`"communication_disabled_until":null}}`
	return strings.NewReplacer(edit...).Replace(s)
}

func TestFrame(t *testing.T) {
	for _, tt := range []struct {
		name, frame, want string // want: part of the only problem, "" = none
	}{
		{"ack", `{"op":11,"d":null}`, ""},
		{"ack with s", `{"op":11,"d":null,"s":4,"t":null}`, "s is 4"},
		{"resumed", `{"op":0,"s":3,"t":"RESUMED","d":{}}`, ""},
		{"resumed null", `{"op":0,"s":3,"t":"RESUMED","d":null}`, "want an object"},
		{"resumed without s", `{"op":0,"s":null,"t":"RESUMED","d":{}}`, "s is null"},
		{"s of 2^31", `{"op":0,"s":2147483648,"t":"RESUMED","d":{}}`, "2^31-1"},
		{"invalid session object", `{"op":9,"d":{}}`, "want a bool"},
		{"message", `{"op":0,"s":3,"t":"MESSAGE_CREATE","d":` + message() + `}`, ""},
		{"id number", `{"op":0,"s":3,"t":"MESSAGE_CREATE","d":` + message(`"id":"9"`, `"id":9`) + `}`, "want an id"},
		{"id zero", `{"op":0,"s":3,"t":"MESSAGE_CREATE","d":` + message(`"id":"9"`, `"id":"0"`) + `}`, "want an id"},
		{"time short", `{"op":0,"s":3,"t":"MESSAGE_CREATE","d":` + message(`"timestamp":"2026-01-02T03:04:05.678000+00:00"`,
			`"timestamp":"2026-01-02T03:04:05.678Z"`) + `}`, "want a time"},
		{"list null", `{"op":0,"s":3,"t":"MESSAGE_CREATE","d":` + message(`"mentions":[]`, `"mentions":null`) + `}`, "want an array"},
		{"list missing", `{"op":0,"s":3,"t":"MESSAGE_CREATE","d":` + message(`"mentions":[],`, ``) + `}`, `no key "mentions"`},
		{"internal event", `{"op":0,"s":3,"t":"_GUILD_BORN","d":{}}`, "should not send"},
	} {
		got := Frame([]byte(tt.frame))
		if tt.want == "" && len(got) > 0 || tt.want != "" && (len(got) != 1 || !strings.Contains(got[0], tt.want)) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestAnswer(t *testing.T) {
	header := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	limited := []string{"Via", "x", "Content-Type", "application/json", "X-RateLimit-Bucket", "b", "X-RateLimit-Limit", "5",
		"X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "1790000000.123", "X-RateLimit-Reset-After", "0.650", "X-RateLimit-Scope", "user"}
	slow := `{"message":"You are being rate limited.","retry_after":0.65,"global":false}`
	for _, tt := range []struct {
		name   string
		status int
		h      http.Header
		body   string
		want   string
	}{
		{"user", 200, header("Via", "x", "Content-Type", "application/json"), goodUser, ""},
		{"charset", 200, header("Via", "x", "Content-Type", "application/json; charset=utf-8"), goodUser, "Content-Type"},
		{"no via", 200, header("Content-Type", "application/json"), goodUser, "Via"},
		{"error", 404, header("Via", "x", "Content-Type", "application/json"), `{"message":"Unknown User","code":10013}`, ""},
		{"error without code", 404, header("Via", "x", "Content-Type", "application/json"), `{"message":"Unknown User"}`, `"code"`},
		{"limited", 429, header(append(limited, "Retry-After", "1")...), slow, ""},
		{"fraction", 429, header(append(limited, "Retry-After", "0.65")...), slow, "Retry-After"},
		{"too short", 429, header(append(limited, "Retry-After", "1")...), strings.Replace(slow, "0.65", "1.65", 1), "retry_after"},
	} {
		got := Answer("GET", "/users/7", tt.status, tt.h, []byte(tt.body))
		if tt.want == "" && len(got) > 0 || tt.want != "" && (len(got) == 0 || !strings.Contains(got[0], tt.want)) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
