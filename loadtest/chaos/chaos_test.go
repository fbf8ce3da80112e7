package chaos

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/starling-chat/starling/loadtest/mesh"
)

// The plan of make test: each kind of fault on embedded stores, closely one after the other.
const shortPlan = `
0:02 kill edge-1
0:02 rights kick 3 for 1s
0:05 sockets 30%
0:05.2 rights role 3 for 1.5s
0:07 cut leaf-1 for 1.5s
0:09 kill leaf-2
0:11 rights overwrite 3 for 1s
0:11.5 stop hub-1 for 1s
0:13 half-open leaf-1 for 1.5s
0:15 drain edge-2
0:17 kill core-1
0:17.2 rights ban 3 for 1s
0:20 slow leaf-2 for 1s
`

// A mesh is broken in every way that the lab has, and nothing is lost, doubled, disordered or leaked. Who cannot be resumed identifies anew, and
// what they miss meanwhile is counted apart.
func TestChaos(t *testing.T) {
	bin, err := mesh.Build(mesh.Race)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cfg := Config{Bin: bin, Shape: Shape{Edges: 3, Leaves: 2, Hubs: 1, Cores: 1}, Length: 22 * time.Second, Seed: 1, Clients: 24, Guilds: 4, Rate: 30,
		Report: filepath.Join(dir, "chaos.html"), Log: filepath.Join(dir, "mesh.log"), Out: t.Output(), Command: "go test -run TestChaos ./loadtest/chaos"}
	if cfg.Plan, err = Parse(strings.NewReader(shortPlan), cfg.Broken()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 6*time.Minute)
	defer stop()
	r, err := Run(ctx, cfg)
	if err != nil {
		log, _ := os.ReadFile(cfg.Log)
		t.Fatalf("%v\nlog of the mesh:\n%s", err, log)
	}
	r.Print(t.Output())
	if err := r.WriteReport(cfg.Report); err != nil {
		t.Error(err)
	}
	if !r.Good() {
		log, _ := os.ReadFile(cfg.Log)
		t.Errorf("the promise was broken; log of the mesh:\n%s", log)
	}
	// All of it was there to be judged.
	if r.Due < 1000 || r.Delivered == 0 || r.Acknowledged < r.Written*9/10 || r.Flips < 20 || len(r.Effects) != len(cfg.Plan) || r.Sockets == 0 {
		t.Errorf("got %+v, want a run of which there is something to say", r.Tally)
	}
}

// A lab that cannot be is refused before anything is started.
func TestConfigIsChecked(t *testing.T) {
	good := Config{Shape: Shape{Edges: 1, Leaves: 1, Hubs: 1, Cores: 1}, Clients: 10, Guilds: 5, Length: time.Minute}
	for want, change := range map[string]func(*Config){
		"":             func(*Config) {},
		"real stores":  func(c *Config) { c.Shape.Cores = 3 },
		"need more":    func(c *Config) { c.Clients = 1000 },
		"is too short": func(c *Config) { c.Length = 0 },
	} {
		c := good
		change(&c)
		if err := c.Check(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
