package chaos

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/starling-chat/starling/proto"
)

// A run of ten seconds: a message each 100 ms, heard 20 ms later, but for two seconds after an edge was killed at 0:04.
func tenSeconds() *Result {
	began := time.Unix(1_700_000_000, 0)
	at := func(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }
	var notes []*note
	r := newRecord(nil, nil, func() {})
	for i := range 100 {
		n := &note{key: "m", sent: at(100 * i), acked: at(100*i + 10), id: proto.ID(i + 1)}
		notes = append(notes, n)
		heard := at(100*i + 20)
		if i >= 40 && i < 60 {
			heard = at(6000 + i)
		}
		r.got = append(r.got, delivery{id: n.id, note: i, at: heard})
	}
	r.breaks = []gap{{from: at(4010), to: at(4500)}, {from: at(8200), to: at(8300), anew: true}}
	done := []Done{{Fault: Fault{At: 4 * time.Second, Kind: Kill, Target: "edge-1"}, Began: 4 * time.Second, Ended: 4 * time.Second},
		{Fault: Fault{At: 5 * time.Second, Kind: Rights, Target: ByKick, Count: 2, For: time.Second}, Began: 5 * time.Second, Ended: 6 * time.Second},
		{Fault: Fault{At: 8 * time.Second, Kind: Cut, Target: "leaf-1", For: time.Second}, Began: 8 * time.Second, Ended: 9 * time.Second}}
	res := &Result{Config: Config{Shape: whole, Clients: 1, Guilds: 1, Rate: 10, Command: "starling chaos --seed 1"}, Began: began, Length: 10 * time.Second,
		Refused: map[string]int{"503": 2}}
	for _, d := range done {
		res.Plan = append(res.Plan, d.Fault)
	}
	res.Seconds = seconds(began, res.Length, notes, []*record{r})
	res.Effects = effects(began, res.Length, done, notes, []*record{r})
	res.Killed = killedEdges(res.Effects)
	return res
}

func TestFigures(t *testing.T) {
	r := tenSeconds()
	if s := r.Seconds[1]; s.Delivered != 10 || s.P50 != 20*time.Millisecond || s.Written != 10 || s.Acked != 10 {
		t.Errorf("got %+v", s)
	}
	if r.Seconds[4].Delivered != 0 || r.Seconds[6].Delivered != 30 || r.Seconds[6].P99 < 1900*time.Millisecond {
		t.Errorf("got %+v and %+v", r.Seconds[4], r.Seconds[6])
	}
	kill, kick, cut := r.Effects[0], r.Effects[1], r.Effects[2]
	if kill.Until != 8*time.Second || kill.Broken != 1 || kill.Resumed != 1 || kill.Anew != 0 || kill.Back.Max() != 500*time.Millisecond {
		t.Errorf("kill: got %+v", kill)
	}
	if kill.Silence.Max() < 2*time.Second || kill.Silence.Max() > 2200*time.Millisecond || kill.Answer != 10*time.Millisecond {
		t.Errorf("kill: silence %v, answer %v", kill.Silence, kill.Answer)
	}
	if kick.Broken != 0 || cut.Anew != 1 || cut.Back.Max() != 100*time.Millisecond || cut.Silence.Max() > 200*time.Millisecond {
		t.Errorf("got %+v and %+v", kick, cut)
	}
	if len(r.Killed) != 1 || r.Killed.At(.95) != 500*time.Millisecond {
		t.Errorf("killed: got %v", r.Killed)
	}
}

// What a client hears last and long before the end is a silence too.
func TestSilenceUntilTheEnd(t *testing.T) {
	began := time.Unix(1_700_000_000, 0)
	r := newRecord(nil, nil, func() {})
	r.got = []delivery{{at: began.Add(time.Second)}}
	e := effects(began, 10*time.Second, []Done{{Fault: Fault{Kind: Drain}, Began: 2 * time.Second}}, nil, []*record{r})
	if got := e[0].Silence.Max(); got != 9*time.Second {
		t.Errorf("got %v, want 9s", got)
	}
}

// The report is whole, needs nothing from elsewhere, and its drawing is well-formed.
func TestReport(t *testing.T) {
	r := tenSeconds()
	r.Lost, r.Problems = 1, []string{"client 1: lost <script>"}
	text, err := r.report()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"The promise was broken", "starling chaos --seed 1", "0:04 kill edge-1", "rights kick 2", "&lt;script&gt;", "identified anew", "503: 2"} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("the report does not say %q", want)
		}
	}
	for _, bad := range []string{"http://", "https://", "@import", "NaN", "ZgotmplZ"} {
		if bytes.Contains(text, []byte(bad)) {
			t.Errorf("the report holds %q", bad)
		}
	}
	for d := xml.NewDecoder(strings.NewReader(string(r.timeline()))); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	r.Print(&out)
	if !strings.Contains(out.String(), "THE PROMISE WAS BROKEN") || !strings.Contains(out.String(), "lost  1  <--") {
		t.Errorf("got %s", out.String())
	}
	empty := &Result{Config: Config{Shape: whole}, Length: time.Second}
	if _, err := empty.report(); err != nil || !empty.Good() {
		t.Errorf("a run of nothing: %v", err)
	}
}

func TestNiceStep(t *testing.T) {
	for v, want := range map[float64]float64{0: 1, .3: .5, 1: 1, 3: 5, 700: 1000, 1200: 2000} {
		if got := niceStep(v); got != want {
			t.Errorf("%g: got %g, want %g", v, got, want)
		}
	}
}

func TestProgress(t *testing.T) {
	var plain, screen strings.Builder
	for _, p := range []*progress{{out: &plain}, {out: &screen, terminal: true}} {
		p.status("%d of 2", 1)
		p.fault(Done{Fault: Fault{Kind: Kill, Target: "edge-1"}, Began: time.Second})
		p.fault(Done{Fault: Fault{Kind: Drain, Target: "edge-2"}, Began: 2 * time.Second, Err: errors.New("gone")})
	}
	if got := plain.String(); got != "0:01  kill edge-1\n0:02  drain edge-2: gone\n" {
		t.Errorf("got %q", got)
	}
	if got := screen.String(); !strings.HasSuffix(got, "drain edge-2: gone\n1 of 2") {
		t.Errorf("got %q", got)
	}
}
