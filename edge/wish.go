package edge

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/starling-chat/starling/proto"
)

const (
	maxActivities     = 5       // of one session that are kept
	maxActivityBytes  = 4 << 10 // of their JSON: cores take no more
	maxActivityText   = 128     // characters of name and state
	maxActivityURL    = 512
	customActivity    = 4
	streamingActivity = 1
	lastActivity      = 5 // highest published type

	maxWishes  = 5 // op 3 of a session in wishWindow; the newest of those beyond takes effect with the next window
	wishWindow = 20 * time.Second
)

// A wish is how a session wants to look: what op 3 and the presence of IDENTIFY say.
type wish struct {
	status     proto.Status // online, idle, dnd or invisible
	activities []proto.Activity
}

var errWish = errors.New("presence not understood")

// readWish reads a presence strictly: of one that is half understood nothing is shown. Nobody is closed for it (wire-compat 3.3).
func readWish(raw json.RawMessage) (wish, error) {
	var d struct {
		Status     string  `json:"status"`
		AFK        bool    `json:"afk"`
		Since      float64 `json:"since"`
		Activities []struct {
			Name  string  `json:"name"`
			Type  int     `json:"type"`
			State *string `json:"state"`
			URL   *string `json:"url"`
		} `json:"activities"`
	}
	if len(raw) == 0 || raw[0] != '{' || json.Unmarshal(raw, &d) != nil {
		return wish{}, errWish
	}
	w := wish{status: proto.Status(d.Status)}
	switch w.status {
	case "":
		w.status = proto.StatusOnline // of discordgo
	case proto.StatusOffline:
		w.status = proto.StatusInvisible
	case proto.StatusInvisible:
	default:
		if !w.status.Visible() {
			return wish{}, errWish
		}
	}
	for _, a := range d.Activities {
		if a.Type < 0 || a.Type > lastActivity {
			return wish{}, errWish
		}
		kept := proto.Activity{Name: clip(a.Name), Type: a.Type}
		if a.State != nil && *a.State != "" {
			state := clip(*a.State)
			kept.State = &state
		}
		if a.URL != nil && a.Type == streamingActivity && webAddress(*a.URL) {
			kept.URL = a.URL
		}
		if kept.Name == "" && a.Type == customActivity && kept.State != nil {
			kept.Name = "Custom Status"
		}
		if kept.Name != "" && len(w.activities) < maxActivities {
			w.activities = append(w.activities, kept)
		}
	}
	return w, nil
}

// clip bounds a text; what is left over has no meaning of its own.
func clip(s string) string {
	if utf8.RuneCountInString(s) <= maxActivityText {
		return s
	}
	return string([]rune(s)[:maxActivityText])
}

func webAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && len(s) <= maxActivityURL && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

// encode gives the activities as others get them, nil for none. One that goes on keeps the time when it began.
func (w *wish) encode(before []proto.Activity, now time.Time) []byte {
	for i := range w.activities {
		a := &w.activities[i]
		a.CreatedAt = now.UnixMilli()
		for _, b := range before {
			if a.Name == b.Name && a.Type == b.Type && text(a.State) == text(b.State) && text(a.URL) == text(b.URL) {
				a.CreatedAt = b.CreatedAt
			}
		}
	}
	for len(w.activities) > 0 {
		b, err := json.Marshal(w.activities)
		if err != nil {
			panic(err) // strings and numbers
		}
		if len(b) <= maxActivityBytes {
			return b
		}
		w.activities = w.activities[:len(w.activities)-1] // escapes make more of it than the frame was
	}
	return nil
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// deviceOf tells what a session runs on, by the properties of IDENTIFY: bots are on the web, says the published list.
func deviceOf(properties json.RawMessage) string {
	var p map[string]json.RawMessage
	if json.Unmarshal(properties, &p) != nil {
		return "web"
	}
	var browser string
	for _, key := range []string{"browser", "$browser"} {
		if browser == "" {
			_ = json.Unmarshal(p[key], &browser) // of no certain form
		}
	}
	browser = strings.ToLower(browser)
	switch {
	case strings.Contains(browser, "ios"), strings.Contains(browser, "android"), strings.Contains(browser, "mobile"):
		return "mobile"
	case strings.Contains(browser, "client"), strings.Contains(browser, "desktop"):
		return "desktop"
	}
	return "web"
}
