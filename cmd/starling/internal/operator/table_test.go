package operator

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestNamesCannotSpeakToTheTerminal(t *testing.T) {
	var out bytes.Buffer
	tab := table{head: "ID\tNAME"}
	tab.add(1, "evil\x1b[2J\x07\n\tname\u202egnp")
	if err := tab.write(&out); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.ContainsAny(got, "\x1b\x07\t\u202e") || strings.Count(got, "\n") != 2 {
		t.Errorf("got %q, want two lines of printable text", got)
	}
}

func TestFrameFitsTheScreen(t *testing.T) {
	tab := table{head: "NUMBER\tTEXT", foot: "what it means\nand more"}
	for n := range 50 {
		tab.add(n, strings.Repeat("x", 100))
	}
	got := string(frame("numbers", &tab, errors.New("edge-2\ndoes not answer"), 40, 10))
	lines := strings.Split(got, "\r\n")
	if len(lines) != 10 || !strings.HasPrefix(got, "\x1b[H") || !strings.HasSuffix(got, "\x1b[J") {
		t.Errorf("%d lines, want 10 from the corner on: %q", len(lines), got)
	}
	for _, want := range []string{"starling admin numbers", "5 lines of 50 fit; what it means", "and more", "edge-2; does not answer"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
	for _, l := range lines {
		if l = strings.NewReplacer("\x1b[H", "", "\x1b[K", "", "\x1b[J", "").Replace(l); len(l) > 40 {
			t.Errorf("line %q is wider than 40", l)
		}
	}
	tab.rows, tab.more = tab.rows[:2], &table{head: "BELOW", rows: [][]any{{"it fits"}}}
	if got := string(frame("numbers", &tab, nil, 40, 10)); !strings.Contains(got, "it fits") || strings.Count(got, "\r\n") != 8 {
		t.Errorf("two tables: got %q", got)
	}
	if got := string(frame("numbers", &tab, nil, 40, 7)); strings.Contains(got, "it fits") || !strings.Contains(got, "more below") {
		t.Errorf("two tables, room for one: got %q", got)
	}
	if got := frame("numbers", nil, errors.New("gone"), 20, 1); bytes.Count(got, []byte("\n")) != 0 {
		t.Errorf("a screen of one line: got %q", got)
	}
}

func TestBucketOf(t *testing.T) {
	for s, want := range map[string]int{"0": 0, "1023": 1023, "1574518473359245312": 484} {
		if got, err := BucketOf(s); err != nil || got != want {
			t.Errorf("%s: got %d, %v, want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "-1", "1024", "x", "99999999999999999999"} {
		if got, err := BucketOf(s); err == nil {
			t.Errorf("%q: got %d, want a mistake", s, got)
		}
	}
}

func TestShortForms(t *testing.T) {
	now := time.Now()
	for d, want := range map[time.Duration]string{0: "now", 59 * time.Second: "59s", 61 * time.Second: "1m01s", 90 * time.Minute: "1h30m", 72 * time.Hour: "3d"} {
		if got := ago(now.Add(-d), now); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
	for n, want := range map[int]string{0: "0", 9999: "9999", 20 << 10: "20k", 16 << 20: "16M", 40 << 30: "40G"} {
		if got := size(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}
