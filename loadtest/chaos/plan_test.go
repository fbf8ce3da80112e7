package chaos

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/starling-chat/starling/loadtest/mesh"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) { mesh.Clean(); os.Exit(code) }))
}

var whole = Shape{Edges: 4, Leaves: 2, Hubs: 3, Cores: 3, Stores: StoreNames}

const story = `
# everything that a plan may say
0:10 kill edge-1
0:20.5 stop hub-2 for 4s   # frozen
0:15 kill cassandra
30 cut leaf-1 for 5s
0:40 slow leaf-2 for 1m0s
0:50 half-open leaf-1 for 1.5s
1:00 drain edge-4
1:10 sockets 20%
1:20 rights kick 10 for 3s
`

func TestPlanIsReadAndWritten(t *testing.T) {
	p, err := Parse(strings.NewReader(story), whole)
	if err != nil {
		t.Fatal(err)
	}
	if len(p) != 9 || p[1].Target != "cassandra" || p[2].At != 20500*time.Millisecond || p[3].At != 30*time.Second {
		t.Errorf("got\n%v", p)
	}
	if want := (Fault{At: 80 * time.Second, Kind: Rights, Target: ByKick, Count: 10, For: 3 * time.Second}); p[8] != want {
		t.Errorf("got %+v, want %+v", p[8], want)
	}
	again, err := Parse(strings.NewReader(p.String()), whole)
	if err != nil || !slices.Equal(p, again) {
		t.Errorf("got\n%v (%v), want\n%v", again, err, p)
	}
}

func TestMistakesInAPlanAreToldAtOnce(t *testing.T) {
	for line, want := range map[string]string{
		"soon kill edge-1":              "time",
		"0:61 kill edge-1":              "time",
		"0:10 kill":                     "TIME FAULT TARGET",
		"0:10 kill edge-5":              "want one of edge-1",
		"0:10 kill edge-1 for 3s":       "passes when it has been done",
		"0:10 stop edge-1":              "for how long",
		"0:10 stop edge-1 for ever":     "duration",
		"0:10 cut edge-1 for 3s":        "want one of leaf-1",
		"0:10 drain leaf-1":             "want one of edge-1",
		"0:10 sockets 0%":               "share",
		"0:10 sockets 20":               "share",
		"0:10 rights charm 3 for 1s":    "want one of role",
		"0:10 rights kick for 1s":       "how many",
		"0:10 rights kick no for 1s":    "how many",
		"0:10 melt edge-1":              "want one of kill",
		"0:10 kill edge-1 and edge-2":   "too much",
		"0:10 kill postgresql":          "want one of",
		"0:10 slow leaf-1 for -1s":      "duration",
		"0:10 half-open leaf-3 for 10s": "want one of leaf-1",
	} {
		_, err := Parse(strings.NewReader("# a comment\n"+line+"\n0:1 dance all"), whole)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "line 2") || !strings.Contains(err.Error(), "line 3") {
			t.Errorf("%s: got %v, want lines 2 and 3 and %q", line, err, want)
		}
	}
	if _, err := Parse(strings.NewReader(strings.Repeat("1 kill edge-1\n", maxFaults+1)), whole); err == nil {
		t.Error("a plan without end was taken")
	}
}

// A seed's plan is its own, is a plan that Parse takes, breaks something each interval, and leaves the last one to heal.
func TestSeedMakesAPlan(t *testing.T) {
	const length, every = 5 * time.Minute, 10 * time.Second
	kinds := map[string]bool{}
	for seed := range uint64(50) {
		p := Make(seed, whole, length, every, 500)
		if again := Make(seed, whole, length, every, 500); !slices.Equal(p, again) {
			t.Fatalf("seed %d makes two plans", seed)
		}
		back, err := Parse(strings.NewReader(p.String()), whole)
		if err != nil || !slices.Equal(p, back) {
			t.Fatalf("seed %d: %v", seed, err)
		}
		n := 0
		for _, f := range p {
			kinds[f.Kind+" "+strings.Split(f.Target, "-")[0]] = true
			if f.Kind != Rights {
				n++
			}
			if f.At+f.For > length {
				t.Errorf("seed %d: %v goes beyond the end", seed, f)
			}
		}
		if n != 29 {
			t.Errorf("seed %d: %d faults, want one each interval but the last", seed, n)
		}
	}
	if slices.Equal(Make(1, whole, length, every, 500), Make(2, whole, length, every, 500)) {
		t.Error("two seeds make one plan")
	}
	for _, want := range []string{"kill edge", "kill leaf", "kill hub", "kill core", "stop edge", "stop leaf", "stop hub", "stop core", "cut leaf", "slow leaf",
		"half-open leaf", "drain edge", "sockets ", "rights role", "rights overwrite", "rights kick", "rights ban", "kill postgres",
		"kill redis", "kill cassandra", "stop cassandra"} {
		if !kinds[want] {
			t.Errorf("no seed makes %q: %v", want, kinds)
		}
	}
}

func TestClock(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0:00", 65 * time.Second: "1:05", 65250 * time.Millisecond: "1:05.25", 10 * time.Minute: "10:00"} {
		if got := clock(d); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if back, err := parseClock(want); err != nil || back != d {
			t.Errorf("%s: got %v, %v", want, back, err)
		}
	}
}

func TestShortMeshesHaveNoStoresToBreak(t *testing.T) {
	small := Shape{Edges: 1, Leaves: 1, Hubs: 1, Cores: 1}
	for _, f := range Make(3, small, time.Minute, time.Second, 10) {
		if slices.Contains(StoreNames, f.Target) || strings.HasSuffix(f.Target, "-2") {
			t.Error(fmt.Sprint("there is no such target: ", f))
		}
	}
}
