package edge

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/starling-chat/starling/proto"
)

// What clients say of themselves is shown as far as it is understood as a whole.
func TestReadWish(t *testing.T) {
	long := strings.Repeat("ä", 200)
	for _, c := range []struct{ in, status, activities string }{
		{`{"status":"online"}`, "online", ""},
		{`{"since":null,"activities":[],"status":"idle","afk":true}`, "idle", ""},
		{`{"since":1700000000000,"activities":null,"status":"dnd","afk":false}`, "dnd", ""},
		{`{"status":"","game":{"name":"","type":0},"since":0,"activities":[]}`, "online", ""},
		{`{"status":"offline"}`, "invisible", ""},
		{`{"status":"invisible","activities":[{"name":"chess","type":0}]}`, "invisible", `[{"name":"chess","type":0,"created_at":5}]`},
		{`{"status":"online","activities":[{"name":"chess","type":0,"url":"https://x.org","details":"secret","created_at":7}]}`, "online",
			`[{"name":"chess","type":0,"created_at":5}]`},
		{`{"status":"online","activities":[{"name":"s","type":1,"url":"https://x.org/a"}]}`, "online", `[{"name":"s","type":1,"url":"https://x.org/a","created_at":5}]`},
		{`{"status":"online","activities":[{"name":"s","type":1,"url":"javascript:alert(1)"}]}`, "online", `[{"name":"s","type":1,"created_at":5}]`},
		{`{"status":"online","activities":[{"name":"","type":4,"state":"away"}]}`, "online", `[{"name":"Custom Status","type":4,"state":"away","created_at":5}]`},
		{`{"status":"online","activities":[{"name":"","type":0}]}`, "online", ""},
		{`{"status":"online","activities":[{"name":"` + long + `","type":3}]}`, "online", `[{"name":"` + long[:256] + `","type":3,"created_at":5}]`},

		{``, "", ""}, {`null`, "", ""}, {`[]`, "", ""}, {`"online"`, "", ""}, {`{"status":"afk"}`, "", ""}, {`{"status":1}`, "", ""}, {`{"status":"ONLINE"}`, "", ""},
		{`{"status":"online","afk":"no"}`, "", ""}, {`{"status":"online","since":"now"}`, "", ""}, {`{"status":"online","activities":{}}`, "", ""},
		{`{"status":"online","activities":[{"name":1}]}`, "", ""}, {`{"status":"online","activities":[{"name":"a","type":9}]}`, "", ""},
		{`{"status":"online","activities":[{"name":"a","state":{}}]}`, "", ""}, {`{"status":"online","activities":["chess"]}`, "", ""},
	} {
		w, err := readWish(json.RawMessage(c.in))
		if err != nil {
			if c.status != "" {
				t.Errorf("%s: %v", c.in, err)
			}
			continue
		}
		got := string(w.encode(nil, time.UnixMilli(5)))
		if string(w.status) != c.status || got != c.activities {
			t.Errorf("%s: got %s %s, want %s %s", c.in, w.status, got, c.status, c.activities)
		}
	}
}

// An activity that goes on keeps the time when it began; a new one gets its own.
func TestActivitiesGoOn(t *testing.T) {
	first, _ := readWish(json.RawMessage(`{"status":"online","activities":[{"name":"chess","type":0,"state":"opening"}]}`))
	first.encode(nil, time.UnixMilli(5))
	second, _ := readWish(json.RawMessage(`{"status":"dnd","activities":[{"name":"go","type":0},{"name":"chess","type":0,"state":"opening"}]}`))
	if got := string(second.encode(first.activities, time.UnixMilli(9))); got !=
		`[{"name":"go","type":0,"created_at":9},{"name":"chess","type":0,"state":"opening","created_at":5}]` {
		t.Errorf("got %s", got)
	}
}

func FuzzReadWish(f *testing.F) {
	f.Add(`{"status":"dnd","since":1,"afk":true,"activities":[{"name":"a","type":1,"state":"<>&","url":"https://x.org"}]}`)
	f.Add(`{"status":"","game":{"name":""}}`)
	f.Add(`{"activities":[{},{"type":4,"state":"x"},null]}`)
	f.Add(`{"status":"online","activities":[{"name":"` + strings.Repeat("<", 3900) + `"}]}`)
	f.Fuzz(func(t *testing.T, in string) {
		w, err := readWish(json.RawMessage(in))
		if err != nil {
			return
		}
		if !w.status.Visible() && w.status != proto.StatusInvisible {
			t.Errorf("status %q", w.status)
		}
		b := w.encode(nil, time.UnixMilli(1))
		if b != nil && (!json.Valid(b) || len(b) > maxActivityBytes) {
			t.Errorf("%d bytes: %.200s", len(b), b)
		}
	})
}

func TestDeviceOf(t *testing.T) {
	for in, want := range map[string]string{``: "web", `null`: "web", `[]`: "web", `{"os":"linux","browser":"disco","device":"disco"}`: "web",
		`{"$browser":"Discord iOS"}`: "mobile", `{"browser":"Discord Android"}`: "mobile", `{"browser":"Discord Client"}`: "desktop",
		`{"browser":7,"$browser":"Discord iOS"}`: "mobile", `{"browser":{}}`: "web"} {
		if got := deviceOf(json.RawMessage(in)); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}
