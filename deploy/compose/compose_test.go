package compose

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"
)

type file struct {
	Services map[string]service
	Volumes  map[string]any
}

type service struct {
	Image     string
	Build     struct{ Context, Dockerfile, Target string }
	Command   []string
	Volumes   []string
	Ports     []string
	DependsOn map[string]any `yaml:"depends_on"`
}

func load(t *testing.T) file {
	t.Helper()
	text, err := os.ReadFile("compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var f file
	if err := yaml.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// roles are the services that run the binary, with the values of their flags.
func (f file) roles() map[string]map[string]string {
	all := map[string]map[string]string{}
	for name, s := range f.Services {
		if s.Image != "starling" {
			continue
		}
		flags := map[string]string{"": s.Command[0]}
		for _, arg := range s.Command[1:] {
			flag, value, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
			flags[flag] = value
		}
		all[name] = flags
	}
	return all
}

func TestMain(m *testing.M) {
	code := m.Run()
	if binDir != "" {
		os.RemoveAll(binDir)
	}
	os.Exit(code)
}

var binDir string

// build makes the binary, as the Dockerfile does, once for all tests.
var build = sync.OnceValues(func() (string, error) {
	var err error
	if binDir, err = os.MkdirTemp("", "starling-compose-"); err != nil {
		return "", err
	}
	binary := filepath.Join(binDir, "starling")
	cmd := exec.Command("go", "build", "-o", binary, "../../cmd/starling")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w: %s", err, out)
	}
	return binary, nil
})

var flagOf = regexp.MustCompile(`(?m)^ +(?:-\w, )?--([a-z-]+)`)

func TestFlagsExist(t *testing.T) {
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	f, count := load(t), map[string]int{}
	for name, flags := range f.roles() {
		role := flags[""]
		count[role]++
		help, err := exec.Command(binary, role, "--help").Output()
		if err != nil {
			t.Fatalf("starling %s --help: %v", role, err)
		}
		known := map[string]bool{"": true}
		for _, m := range flagOf.FindAllSubmatch(help, -1) {
			known[string(m[1])] = true
		}
		if len(known) < 5 {
			t.Fatalf("no flags found in the help of %s", role)
		}
		for flag := range flags {
			if !known[flag] {
				t.Errorf("%s: starling %s has no flag --%s", name, role, flag)
			}
		}
	}
	for role, want := range map[string]int{"hub": 3, "core": 1, "leaf": 1, "edge": 2} {
		if count[role] != want {
			t.Errorf("got %d services of role %s, want %d", count[role], role, want)
		}
	}
}

// Whoever calls somebody calls a service, at a port on which it listens.
func TestAddressesFit(t *testing.T) {
	f := load(t)
	roles := f.roles()
	ports := map[string][]string{"postgres": {"5432"}, "scylla": {"9042"}, "redis": {"6379"}}
	for name, flags := range roles {
		for _, listen := range []string{"nats", "leafnodes", "cluster", "tls"} {
			if flag, ok := flags[listen]; ok && flags[""] != "core" {
				host, port, err := net.SplitHostPort(flag)
				if err != nil || host != name && host != "0.0.0.0" {
					t.Errorf("%s: --%s=%s, %v: want an address of its own", name, listen, flag, err)
				}
				ports[name] = append(ports[name], port)
			}
		}
	}
	called := regexp.MustCompile(`(?:nats://|postgres://starling@|redis://)([a-z0-9-]+):(\d+)`)
	targets := func(text string) (all []string) {
		for _, m := range called.FindAllStringSubmatch(text, -1) {
			if _, ok := f.Services[m[1]]; !ok || !slices.Contains(ports[m[1]], m[2]) {
				t.Errorf("%s: nobody listens at %s:%s", text, m[1], m[2])
			}
			all = append(all, m[1])
		}
		return all
	}
	for name, flags := range roles {
		switch flags[""] {
		case "hub":
			others := append(targets(flags["peers"]), name)
			slices.Sort(others)
			if !slices.Equal(others, []string{"hub-1", "hub-2", "hub-3"}) {
				t.Errorf("%s with its peers: %v, want all hubs once", name, others)
			}
		case "leaf":
			if n := len(targets(flags["hub"])); n != 3 {
				t.Errorf("%s: %d hubs, want 3", name, n)
			}
		case "core":
			if n := len(targets(flags["hub"] + "," + flags["postgres"] + "," + flags["redis"])); n != 5 {
				t.Errorf("%s: calls %d, want 3 hubs, Postgres and Redis", name, n)
			}
			if flags["cql"] != "scylla:9042" {
				t.Errorf("%s: --cql=%s", name, flags["cql"])
			}
			if flags["cql-replication"] == "1" && !slices.Contains(f.Services["scylla"].Command, "--commitlog-sync=batch") {
				t.Error("scylla: a node alone has to have on disk what it acknowledges: --commitlog-sync=batch")
			}
		case "edge":
			targets(flags["leaf"])
		}
	}
	for name, s := range f.Services {
		for _, p := range s.Ports {
			part := strings.Split(p, ":")
			if len(part) != 3 || part[0] != "127.0.0.1" || !slices.Contains(ports[name], part[2]) {
				t.Errorf("%s: published as %s: want loopback, and a port on which it listens", name, p)
			}
			if public := roles[name]["public-url"]; !strings.HasSuffix(public, ":"+part[1]) {
				t.Errorf("%s: clients are told %s, published is %s", name, public, part[1])
			}
		}
		if len(s.Ports) > 0 != (roles[name][""] == "edge") {
			t.Errorf("%s: %d ports published: want those of edges, and no others", name, len(s.Ports))
		}
	}
}

func TestPartsExist(t *testing.T) {
	f := load(t)
	certified := f.Services["certs"].Command[1:]
	for name, s := range f.Services {
		for _, v := range s.Volumes {
			volume, _, _ := strings.Cut(v, ":")
			if _, ok := f.Volumes[volume]; !ok {
				t.Errorf("%s: no volume %s", name, volume)
			}
		}
		for other := range s.DependsOn {
			if _, ok := f.Services[other]; !ok {
				t.Errorf("%s: depends on %s, which is no service", name, other)
			}
		}
		if s.Build.Context == "" {
			continue
		}
		text, err := os.ReadFile(filepath.Join(s.Build.Context, s.Build.Dockerfile))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !strings.Contains(string(text), " AS "+s.Build.Target+"\n") {
			t.Errorf("%s: the Dockerfile has no target %s", name, s.Build.Target)
		}
	}
	for name, flags := range f.roles() {
		id := name + "." + flags[""]
		if !slices.Contains(certified, id) {
			t.Errorf("%s: certs makes nothing for %s", name, id)
		}
		folder := "/mesh/" + id + "/"
		if flags["name"] != name || flags["mesh-cert"] != folder+"cert.pem" || flags["mesh-key"] != folder+"key.pem" || flags["mesh-ca"] != folder+"ca.pem" {
			t.Errorf("%s: name %s, certificate %s, key %s, authority %s", name, flags["name"], flags["mesh-cert"], flags["mesh-key"], flags["mesh-ca"])
		}
	}
}

// The image builds with a Go that go.mod takes.
func TestGoVersion(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	docker, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	want := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(mod)
	got := regexp.MustCompile(`(?m)^FROM golang:(\d+\.\d+)`).FindSubmatch(docker)
	if want == nil || got == nil || string(want[1]) != string(got[1]) {
		t.Errorf("the Dockerfile builds with Go %s, go.mod wants %s", got, want)
	}
}
