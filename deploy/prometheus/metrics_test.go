package prometheus_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/starling-chat/starling/loadtest/mesh"
)

func TestMain(m *testing.M) {
	code := m.Run()
	mesh.Clean()
	os.Exit(code)
}

// A metric is what a page of a running role shows of one: its type and the labels that it has.
type metric struct {
	kind   string
	labels map[string]bool
}

// metrics are all that the roles of a mesh show, by name; a histogram has its _bucket, _sum and _count.
type metrics map[string]metric

// fromScrape are the labels that prometheus.yml gives every target.
var fromScrape = []string{"job", "instance", "role", "region"}

// scrape runs a mesh, each role a process, has people say something, and reads the pages of all roles.
func scrape(t *testing.T) metrics {
	t.Helper()
	bin, err := mesh.Build(false)
	if err != nil {
		t.Fatal(err)
	}
	m, err := mesh.New(mesh.Options{Processes: true, Bin: bin, Args: []string{"--hubs", "3"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := m.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(ctx, bin, "seed", "--url", m.HTTP(0), "--users", "2", "--bots", "1").CombinedOutput(); err != nil {
		t.Fatalf("seed: %v\n%s", err, out)
	}
	roles, err := m.Roles()
	if err != nil {
		t.Fatal(err)
	}
	for { // hubs look at themselves every 3 s
		all := metrics{}
		kinds := map[string]bool{}
		for _, r := range roles {
			kinds[r.Role] = true
			if err := all.read("http://" + r.Admin + "/metrics"); err != nil {
				t.Fatalf("%s: %v", r.Name, err)
			}
		}
		if len(kinds) != 4 {
			t.Fatalf("got roles %v, want hub, leaf, core, edge", kinds)
		}
		if _, told := all["starling_relay_replica_lag_entries"]; told {
			return all
		}
		select {
		case <-ctx.Done():
			t.Fatal("no hub told of replicas")
		case <-time.After(200 * time.Millisecond):
		}
	}
}

var (
	typeLine   = regexp.MustCompile(`^# TYPE (\w+) (\w+)$`)
	sampleLine = regexp.MustCompile(`^(\w+)(?:\{(.*)\})? \S+$`)
	labelName  = regexp.MustCompile(`(\w+)="(?:[^"\\]|\\.)*"`)
)

// read adds the metrics of one page.
func (all metrics) read(url string) error {
	resp, err := http.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d: %w", url, resp.StatusCode, err)
	}
	kind := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if m := typeLine.FindStringSubmatch(line); m != nil {
			kind = m[2]
			continue
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		m := sampleLine.FindStringSubmatch(line)
		if m == nil {
			return fmt.Errorf("%s: no sample: %q", url, line)
		}
		if _, known := all[m[1]]; !known {
			all[m[1]] = metric{kind, map[string]bool{}}
			for _, l := range fromScrape {
				all[m[1]].labels[l] = true
			}
		}
		for _, l := range labelName.FindAllStringSubmatch(m[2], -1) {
			all[m[1]].labels[l[1]] = true
		}
	}
	return nil
}
