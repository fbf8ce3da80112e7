package check

import (
	"strings"
	"testing"
	"time"

	"github.com/starling-chat/starling/proto"
)

const square = proto.ID(9)

// A scene is a run that is over: three messages, acknowledged, in history and heard by one client.
func scene() (*Run, map[proto.ID][]proto.Message) {
	begun := time.Now()
	l := &listener{}
	r := &Run{town: &town{channels: []proto.ID{square}}, told: map[string]bool{}, listeners: []*listener{l},
		load: &load{phases: []phase{{"calm", begun}}, refusals: []map[string]int{{}}}}
	past := map[proto.ID][]proto.Message{}
	for i, key := range []string{"m0", "m1", "m2"} {
		id := proto.ID(100 + i)
		r.load.notes = append(r.load.notes, &note{key: key, channel: square, sent: begun, answer: time.Duration(i+1) * time.Millisecond, id: id})
		past[square] = append(past[square], proto.Message{ID: id, ChannelID: square, Content: key})
		l.heard = append(l.heard, heard{channel: square, id: id, key: key, at: begun.Add(time.Duration(i) * time.Second)})
	}
	return r, past
}

// Each way to be wrong is found, and named.
func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(r *Run, past map[proto.ID][]proto.Message)
		want   string // "" = nothing is wrong
	}{
		{"all well", func(*Run, map[proto.ID][]proto.Message) {}, ""},
		{"lost", func(r *Run, past map[proto.ID][]proto.Message) {
			past[square], r.listeners[0].heard = past[square][:2], r.listeners[0].heard[:2]
		}, "is lost"},
		{"never acknowledged, and not there", func(r *Run, past map[proto.ID][]proto.Message) {
			r.load.notes[2].id = 0
			past[square], r.listeners[0].heard = past[square][:2], r.listeners[0].heard[:2]
		}, ""},
		{"never acknowledged, and there", func(r *Run, past map[proto.ID][]proto.Message) { r.load.notes[2].id = 0 }, ""},
		{"twice in history", func(r *Run, past map[proto.ID][]proto.Message) {
			past[square] = append(past[square], proto.Message{ID: 103, ChannelID: square, Content: "m1"})
			r.listeners[0].heard = append(r.listeners[0].heard, heard{channel: square, id: 103, key: "m1"})
		}, "twice"},
		{"under another id", func(r *Run, past map[proto.ID][]proto.Message) { r.load.notes[1].id = 77 }, "was acknowledged as 77"},
		{"nobody's", func(r *Run, past map[proto.ID][]proto.Message) { past[square][1].Content = "ghost" }, "nobody sent"},
		{"history out of order", func(r *Run, past map[proto.ID][]proto.Message) {
			past[square][0], past[square][1] = past[square][1], past[square][0]
		}, "comes after"},
		{"not heard", func(r *Run, past map[proto.ID][]proto.Message) {
			h := r.listeners[0].heard
			r.listeners[0].heard = []heard{h[0], h[2]}
		}, "did not hear 1 messages"},
		{"the last not heard", func(r *Run, past map[proto.ID][]proto.Message) { r.listeners[0].heard = r.listeners[0].heard[:2] }, "the last 1"},
		{"heard twice", func(r *Run, past map[proto.ID][]proto.Message) {
			h := r.listeners[0].heard
			r.listeners[0].heard = []heard{h[0], h[1], h[1], h[2]}
		}, "again or too late"},
		{"heard out of order", func(r *Run, past map[proto.ID][]proto.Message) {
			h := r.listeners[0].heard
			r.listeners[0].heard = []heard{h[1], h[0], h[2]}
		}, "again or too late"},
		{"heard, not in history", func(r *Run, past map[proto.ID][]proto.Message) {
			r.listeners[0].heard = append(r.listeners[0].heard, heard{channel: square, id: 999, key: "m2"})
		}, "not in history"},
		{"not heard between two sessions", func(r *Run, past map[proto.ID][]proto.Message) {
			h := r.listeners[0].heard
			h[2].stretch = 1
			r.listeners[0].heard, r.listeners[0].lost, r.plan.MayLoseConnection = []heard{h[0], h[2]}, 1, true
		}, ""},
		{"a session lost for no reason", func(r *Run, past map[proto.ID][]proto.Message) { r.listeners[0].lost = 1 }, "lost its session"},
	} {
		r, past := scene()
		c.change(r, past)
		r.judge(past)
		if got := strings.Join(r.problems, "\n"); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestFigures(t *testing.T) {
	r, past := scene()
	r.load.phases = append(r.load.phases, phase{"fault", r.load.phases[0].begun.Add(1500 * time.Millisecond)})
	r.load.refusals = append(r.load.refusals, map[string]int{"503": 2})
	r.judge(past)
	f := r.figures()
	calm := f.Phase("calm")
	if calm.Sent != 3 || calm.Acknowledged != 3 || calm.Answers.Max() != 3*time.Millisecond || calm.Silence != time.Second || len(calm.Deliveries) != 3 {
		t.Errorf("got %+v", calm)
	}
	if text := f.String(); !strings.Contains(text, "fault") || !strings.Contains(text, "503: 2") {
		t.Errorf("table lacks figures:\n%s", text)
	}
	if len(r.problems) > 0 {
		t.Error(r.problems)
	}
}

func TestTimes(t *testing.T) {
	var none Times
	if none.Max() != 0 || none.At(.5) != 0 {
		t.Error("no times are zero")
	}
	all := make(Times, 100)
	for i := range all {
		all[i] = time.Duration(i + 1)
	}
	if all.At(.5) != 51 || all.At(.99) != 100 || all.Max() != 100 {
		t.Errorf("got %d, %d, %d", all.At(.5), all.At(.99), all.Max())
	}
}
