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

// The plan of make test, on embedded stores: each kind of fault, alone and closely one after the other, and edges that die where the sessions
// of another have just gone. The only core is killed no sooner than nine seconds after an edge that died with the leader of the journals: until others
// have elected one, it alone knows the edge's last words (docs/delivery.md).
const twoMinutes = `
0:03 kill edge-1
0:03 rights kick 3 for 1s
0:10 sockets 30%
0:10.2 rights role 3 for 1.5s
0:16 cut leaf-1 for 1.5s
0:20 kill leaf-2
0:26 rights overwrite 3 for 1s
0:26.5 stop hub-1 for 1s
0:32 half-open leaf-1 for 1.5s
0:38 drain edge-2
0:45 kill core-1
0:45.2 rights ban 3 for 1s
0:53 slow leaf-2 for 2s
0:58 kill hub-2
1:04 kill edge-3
1:05 kill edge-1
1:13 stop edge-2 for 1s
1:13.3 rights kick 3 for 2s
1:19 stop leaf-1 for 2s
1:25 stop core-1 for 2s
1:26 sockets 30%
1:33 kill hub-3
1:33.5 kill edge-2
1:40 rights role 3 for 2s
1:46 kill core-1
1:46.5 sockets 50%
1:51 drain edge-1
1:51.5 kill leaf-1
`

// A mesh is broken in every way that the lab has, and nothing is lost, doubled, disordered or leaked. Who cannot be resumed identifies anew, and
// what they miss meanwhile is counted apart.
func TestChaos(t *testing.T) {
	bin, err := mesh.Build(mesh.Race)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cfg := Config{Bin: bin, Shape: Shape{Edges: 3, Leaves: 2, Hubs: 3, Cores: 1}, Length: 2 * time.Minute, Seed: 1, Clients: 24, Guilds: 4, Rate: 30,
		Report: filepath.Join(dir, "chaos.html"), Log: filepath.Join(dir, "mesh.log"), Out: t.Output(), Command: "go test -run TestChaos ./loadtest/chaos"}
	if cfg.Plan, err = Parse(strings.NewReader(twoMinutes), cfg.Broken()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 8*time.Minute)
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
	if r.Due < 5000 || r.Delivered == 0 || r.Acknowledged < r.Written*9/10 || r.Flips < 20 || len(r.Effects) != len(cfg.Plan) || r.Sockets == 0 {
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
