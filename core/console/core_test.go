package console_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/starling-chat/starling/core/ownership"
)

// A part is a core's part in a region, which notes what it is told.
type part struct {
	told []string
	fail error
}

func (p *part) Status() ownership.Status {
	return ownership.Status{Owned: 2, Cores: []string{"core-8"}, Drained: len(p.told) > 0 && p.told[len(p.told)-1] == "drain"}
}

func (p *part) Place(n int) ownership.Place {
	return ownership.Place{Core: fmt.Sprintf("core-%d", 7+n%2), Mine: n%2 == 0}
}

func (p *part) Move(_ context.Context, n int, to string) error { return p.note("%d to %s", n, to) }
func (p *part) Free(_ context.Context, n int) error            { return p.note("free %d", n) }
func (p *part) Drain() error                                   { return p.note("drain") }
func (p *part) Stay() error                                    { return p.note("stay") }

func (p *part) note(format string, args ...any) error {
	p.told = append(p.told, fmt.Sprintf(format, args...))
	return p.fail
}

func TestPart(t *testing.T) {
	d := newDesk(t)
	for _, c := range []struct {
		method, target, body string
		status               int
		want                 string
	}{
		{"GET", "core", "", 200, `"hub":"hub-2","part":{"leaving":false,"drained":false,"owned":2,`},
		{"GET", "core", "", 200, `"phases":{"idle":1,"owned":1}`},
		{"GET", "buckets/1", "", 200, `{"bucket":1,"core":"core-8","pinned":false,"mine":false,"wanted":""}`},
		{"GET", "buckets/1024", "", 404, "0 to 1023"}, {"GET", "buckets/-1", "", 404, "0 to 1023"}, {"GET", "buckets/x", "", 404, "0 to 1023"},
		{"POST", "buckets/4/move", `{"to":"core-8"}`, 200, `"bucket":4`},
		{"POST", "buckets/4/move", `{"free":true}`, 200, `"bucket":4`},
		{"POST", "buckets/4/move", `{"free":true,"to":"core-8"}`, 400, "either"}, {"POST", "buckets/4/move", `{}`, 400, "either"},
		{"POST", "buckets/4/move", `{"from":"core-8"}`, 400, "body"}, {"POST", "buckets/4/move", strings.Repeat(" ", 5000), 400, "body"},
		{"POST", "drain", `{}`, 200, `"drained":true`}, {"POST", "drain", `{"undo":true}`, 200, `"drained":false`}, {"POST", "drain", ``, 400, "body"},
	} {
		if status, text := d.ask(t, c.method, c.target, c.body); status != c.status || !strings.Contains(text, c.want) {
			t.Errorf("%s %s %.40s: got %d %s, want %d with %s", c.method, c.target, c.body, status, text, c.status, c.want)
		}
	}
	if got, want := strings.Join(d.part.told, ", "), "4 to core-8, free 4, drain, stay"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
	for err, want := range map[error]int{ownership.ErrMoving: 409, errors.New("no such core"): 400} {
		d.part.fail = err
		if status, text := d.ask(t, "POST", "buckets/4/move", `{"to":"core-8"}`); status != want || !strings.Contains(text, err.Error()) {
			t.Errorf("move fails with %v: got %d %s, want %d", err, status, text, want)
		}
	}
	if status, _ := d.ask(t, "POST", "drain", `{}`); status != 409 {
		t.Errorf("drain fails: got %d, want 409", status)
	}
}
