package prometheus_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

type rule struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

func rules(t *testing.T) (all []rule) {
	t.Helper()
	text, err := os.ReadFile("alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []rule
		}
	}
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) == 0 {
		t.Fatal("no rules")
	}
	return all
}

// A panel of the dashboard.
type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ X, Y, W, H int }
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Targets                  []struct{ Expr, LegendFormat string }
}

func panels(t *testing.T) []panel {
	t.Helper()
	text, err := os.ReadFile("../grafana/starling.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		UID, Title string
		Panels     []panel
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	if board.UID == "" || board.Title == "" || len(board.Panels) == 0 {
		t.Fatalf("dashboard: uid %q, title %q, %d panels", board.UID, board.Title, len(board.Panels))
	}
	return board.Panels
}

// plain puts in what Grafana puts in for its variables.
var plain = strings.NewReplacer("$__rate_interval", "1m", "$region", ".*")

// scraped is what Prometheus makes itself of every target.
var scraped = metric{"gauge", map[string]bool{"job": true, "instance": true, "role": true, "region": true}}

// Every metric and label that an alert or a panel names is one that a running mesh has, and every expression parses.
func TestMetricsExist(t *testing.T) {
	all := scrape(t)
	all["up"] = scraped
	for _, r := range rules(t) {
		if err := all.check(r.Expr); err != nil {
			t.Errorf("%s: %s\n%v", r.Alert, r.Expr, err)
		}
		for _, text := range r.Annotations {
			for _, m := range regexp.MustCompile(`starling_[a-z_]*[a-z]`).FindAllString(text, -1) {
				if _, ok := all[m]; !ok {
					t.Errorf("%s: its text names %s, and no role has such a metric", r.Alert, m)
				}
			}
		}
	}
	for _, p := range panels(t) {
		for _, q := range p.Targets {
			if err := all.check(plain.Replace(q.Expr)); err != nil {
				t.Errorf("%s: %s\n%v", p.Title, q.Expr, err)
			}
		}
	}
}

// An alert that wakes somebody says what it is about, what it means, and what to do.
func TestAlertsSayWhatToDo(t *testing.T) {
	names := map[string]bool{}
	for _, r := range rules(t) {
		if !strings.HasPrefix(r.Alert, "Starling") || names[r.Alert] {
			t.Errorf("%q: want a name of its own that begins with Starling", r.Alert)
		}
		names[r.Alert] = true
		if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) {
			t.Errorf("%s: severity %q", r.Alert, r.Labels["severity"])
		}
		for _, key := range []string{"summary", "description", "action"} {
			if len(r.Annotations[key]) < 3 {
				t.Errorf("%s says no %s", r.Alert, key)
			}
		}
		if r.For != "" {
			if d, err := time.ParseDuration(strings.Replace(r.For, "d", "h", 1)); err != nil || d <= 0 {
				t.Errorf("%s: for %q", r.Alert, r.For)
			}
		}
	}
	for _, r := range rules(t) {
		for _, text := range r.Annotations {
			for _, m := range regexp.MustCompile(`Starling[A-Z]\w*`).FindAllString(text, -1) {
				if !names[m] {
					t.Errorf("%s names %s, and there is no such alert", r.Alert, m)
				}
			}
		}
	}
}

// A panel says what it shows, in which unit, and covers no other.
func TestPanelsAreReadable(t *testing.T) {
	all := panels(t)
	areas := map[string]int{}
	area := ""
	for i, p := range all {
		if p.Type == "row" {
			area = p.Title
			continue
		}
		areas[area]++
		if p.Title == "" || p.Description == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 {
			t.Errorf("panel %d, %q: want a title, a description, a unit, a query", p.ID, p.Title)
		}
		if g := p.GridPos; g.X < 0 || g.W <= 0 || g.H <= 0 || g.X+g.W > 24 {
			t.Errorf("%s: at %+v", p.Title, g)
		}
		for _, o := range all[:i] {
			if a, b := p.GridPos, o.GridPos; a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("%s covers %s", p.Title, o.Title)
			}
			if o.ID == p.ID {
				t.Errorf("%s and %s are both panel %d", p.Title, o.Title, p.ID)
			}
		}
	}
	for _, want := range []string{"People", "Messages", "Edges", "Cores", "Log and hubs", "Stores", "Refusals"} {
		if areas[want] < 3 {
			t.Errorf("row %q has %d panels", want, areas[want])
		}
	}
}

// The example of a scrape has a target of each role, with the labels that rules and dashboard need.
func TestScrapeNamesEveryRole(t *testing.T) {
	text, err := os.ReadFile("prometheus.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		RuleFiles     []string `yaml:"rule_files"`
		ScrapeConfigs []struct {
			JobName       string `yaml:"job_name"`
			StaticConfigs []struct {
				Targets []string
				Labels  map[string]string
			} `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.ScrapeConfigs) != 1 || file.ScrapeConfigs[0].JobName != "starling" || !slices.Equal(file.RuleFiles, []string{"alerts.yml"}) {
		t.Fatalf("got %+v, want the job starling and alerts.yml", file)
	}
	roles := map[string]bool{}
	for _, c := range file.ScrapeConfigs[0].StaticConfigs {
		if len(c.Targets) == 0 || c.Labels["region"] == "" {
			t.Errorf("%+v: want targets and a region", c)
		}
		roles[c.Labels["role"]] = true
	}
	for _, want := range []string{"hub", "leaf", "core", "edge"} {
		if !roles[want] {
			t.Errorf("no target of a %s", want)
		}
	}
}
