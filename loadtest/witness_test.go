package loadtest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/starling-chat/starling/loadtest/client"
)

// An account is what a session was told, by what is in one order: each guild, each direct channel, the user. A line is an event with what it says.
type account map[string][]string

// unordered are events of the moment, which no log holds.
var unordered = map[string]bool{"TYPING_START": true, "PRESENCE_UPDATE": true, "PRESENCES_REPLACE": true, "GUILD_MEMBERS_CHUNK": true}

// told takes the numbered events of a log, without those that say where a session begins.
func told(events []client.Event) account {
	a := account{}
	for _, e := range events {
		if e.Op != 0 || e.T == "READY" || e.T == "RESUMED" || unordered[e.T] {
			continue
		}
		var d map[string]any
		if json.Unmarshal(e.D, &d) != nil {
			continue // of no kind that has an order
		}
		whose := whoseEvent(e.T, d)
		a[whose] = append(a[whose], lineOf(e.T, d))
	}
	return a
}

func whoseEvent(kind string, d map[string]any) string {
	text := func(key string) string { s, _ := d[key].(string); return s }
	switch {
	case kind == "GUILD_CREATE" || kind == "GUILD_DELETE" || kind == "GUILD_UPDATE":
		return "guild " + text("id")
	case text("guild_id") != "":
		return "guild " + text("guild_id")
	case text("channel_id") != "":
		return "direct " + text("channel_id")
	case strings.HasPrefix(kind, "CHANNEL_"):
		return "direct " + text("id")
	}
	return "user"
}

// lineOf leaves out what is of the moment in which a session was told: a guild as it had become, a channel's last message.
func lineOf(kind string, d map[string]any) string {
	if kind == "GUILD_CREATE" {
		return kind
	}
	if strings.HasPrefix(kind, "CHANNEL_") && kind != "CHANNEL_PINS_UPDATE" {
		delete(d, "last_message_id")
		delete(d, "last_pin_timestamp")
	}
	b, err := json.Marshal(d) // keys in order
	if err != nil {
		return kind + " " + err.Error()
	}
	return kind + " " + string(b)
}

// agree compares two accounts of the same time. What a session was told of a guild that it was shown anew has no beginning, and who is shown it first is
// left to chance: what one has after GUILD_CREATE is the end of what the other has.
func (a account) agree(t *testing.T, who string, witness account) {
	t.Helper()
	all := map[string]bool{}
	for k := range a {
		all[k] = true
	}
	for k := range witness {
		all[k] = true
	}
	for k := range all {
		got, want := a[k], witness[k]
		if i := slices.Index(got, "GUILD_CREATE"); i >= 0 && slices.Contains(want, "GUILD_CREATE") {
			k0 := slices.Index(want, "GUILD_CREATE")
			same(t, fmt.Sprintf("%s, %s, before GUILD_CREATE", who, k), got[:i], want[:k0])
			got, want = got[i+1:], want[k0+1:]
			got, want = since(got, want), since(want, got)
		}
		same(t, who+", "+k, got, want)
	}
}

// since leaves out of a what the other, who was shown the guild later, need not have been told: as many of the first as it has more, if none of them
// comes again.
func since(a, other []string) []string {
	n := len(a) - len(other)
	if n <= 0 || slices.ContainsFunc(a[:n], func(line string) bool { return slices.Contains(a[n:], line) }) {
		return a
	}
	return a[n:]
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	i := 0
	for i < len(got) && i < len(want) && got[i] == want[i] {
		i++
	}
	next := func(list []string) string {
		if i < len(list) {
			return list[i]
		}
		return "nothing"
	}
	t.Errorf("%s: got %d events, want %d; the first %d agree, then\n got  %.600s\n want %.600s\n got  %v\n want %v", what, len(got), len(want), i, next(got), next(want),
		kinds(got), kinds(want))
}

func kinds(lines []string) (list []string) {
	for _, l := range lines {
		kind, _, _ := strings.Cut(l, " ")
		list = append(list, kind)
	}
	return list
}
