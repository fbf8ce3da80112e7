// Package starling holds the rules of the tree as tests: who may import whom, that packages say what they are, how long files get, and that
// each dependency has its reason. It is no code of the mesh.
package starling

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/starling-chat/starling"

// may maps a folder to the folders of ours that it may import, its own subfolders always among them. Test imports are left out: tests may
// start what they need. The longest matching folder counts.
var may = map[string][]string{
	"proto":        {},
	"relay":        {"proto"},
	"edge":         {"proto", "relay"},
	"core":         {"proto", "relay"},
	"anycast":      {},
	"loadtest":     {"proto", "deploy/servers"},
	"deploy":       {"proto"},
	"web":          {},
	"client":       {"proto"},
	"cmd/starling": {"proto", "relay", "edge", "core", "anycast", "client", "loadtest/chaos"},

	"loadtest/proof/inside": {"proto", "core"}, // stores are measured without a mesh around them

	"cmd/starling/internal/config": {},
	"cmd/starling/internal/admin":  {},
	"cmd/starling/internal/devca":  {"relay"}, // names in certificates are those that relay knows roles by
	"cmd/starling/internal/seed":   {"proto"},
	"cmd/starling/internal/chat":   {"proto", "client"},
}

const why = "proto is the contract, relay alone moves events, edge and core meet only in proto frames on relay subjects and so can be " +
	"deployed, killed and changed apart; anycast, loadtest, client, chat and seed know only what the public knows; cmd/starling alone joins parts"

// only maps a module that one folder hides from the rest to that folder. Its own tests, and tools beside it, are meant.
var only = map[string]string{
	"github.com/nats-io/":             "relay",
	"modernc.org/sqlite":              "core/sqlstore",
	"github.com/jackc/pgx":            "core/sqlstore",
	"github.com/pressly/goose":        "core/sqlstore",
	"github.com/cockroachdb/pebble":   "core/pebble",
	"github.com/gocql/gocql":          "core/cql",
	"github.com/gobwas/ws":            "edge",
	"github.com/golang-jwt/jwt":       "core/auth",
	"github.com/spf13/cobra":          "cmd/starling",
	"github.com/knadh/koanf":          "cmd/starling/internal/config",
	"github.com/schollz/progressbar/": "cmd/starling/internal/seed",
	"github.com/bwmarrin/discordgo":   "loadtest",
	"charm.land/":                     "cmd/starling/internal/chat",
}

type pkg struct {
	ImportPath, Dir, Doc, Name         string
	GoFiles, CgoFiles                  []string
	Imports, TestImports, XTestImports []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,Doc,Name,GoFiles,CgoFiles,Imports,TestImports,XTestImports", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var list []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

// folder is the import path within the module; ok is false outside of it.
func folder(importPath string) (string, bool) {
	if importPath == module {
		return ".", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

func within(dir, of string) bool { return dir == of || strings.HasPrefix(dir, of+"/") }

// rule is the longest folder of the map that dir lies in.
func rule(dir string) (best string, ok bool) {
	for f := range may {
		if within(dir, f) && (!ok || len(f) > len(best)) {
			best, ok = f, true
		}
	}
	return best, ok
}

func TestImports(t *testing.T) {
	for _, p := range packages(t) {
		dir, _ := folder(p.ImportPath)
		if dir == "." {
			continue
		}
		home, ok := rule(dir)
		if !ok {
			t.Errorf("%s: no rule says what it may import: add its folder to the map", dir)
			continue
		}
		for _, path := range p.Imports {
			to, ours := folder(path)
			if !ours {
				for mod, owner := range only {
					if (strings.HasPrefix(path, mod) || path == strings.TrimSuffix(mod, "/")) && !within(dir, owner) && !within(dir, "loadtest") &&
						!(mod == "github.com/gobwas/ws" && within(dir, "client")) {
						t.Errorf("%s imports %s, which is for %s alone: the rest must not depend on the choice", dir, path, owner)
					}
				}
				continue
			}
			if !within(to, home) && !slices.ContainsFunc(may[home], func(f string) bool { return within(to, f) }) {
				t.Errorf("%s imports %s; %s may import only %v\nbecause %s", dir, to, home, may[home], why)
			}
		}
	}
}

func TestPackagesSayWhatTheyAre(t *testing.T) {
	for _, p := range packages(t) {
		if dir, _ := folder(p.ImportPath); p.Doc == "" && p.Name != "" && len(p.GoFiles) > 0 && dir != "proto/pb" { // generated
			t.Errorf("%s has no package comment: say what it is, and what it is not", dir)
		}
	}
}

// maxLines is where a second noun hides in a file.
const maxLines = 500

func TestFilesAreShort(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") && path != "."):
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".go":
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		if n := strings.Count(string(text), "\n"); n > maxLines && !ast.IsGenerated(file) {
			t.Errorf("%s has %d lines, want at most %d: look for the second noun", path, n, maxLines)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestDependenciesHaveAReason asks that each module we import, tests included, be named in ARCHITECTURE.md.
func TestDependenciesHaveAReason(t *testing.T) {
	out, err := exec.Command("go", "mod", "edit", "-json").Output()
	if err != nil {
		t.Fatalf("go mod edit: %v", err)
	}
	var mod struct{ Require []struct{ Path string } }
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	direct := map[string]string{} // module → a package that imports it
	for _, p := range packages(t) {
		dir, _ := folder(p.ImportPath)
		for _, path := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			best := ""
			for _, r := range mod.Require {
				if within(path, r.Path) && len(r.Path) > len(best) {
					best = r.Path
				}
			}
			if best != "" {
				direct[best] = dir
			}
		}
	}
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	for m, by := range direct {
		if !strings.Contains(string(text), m) {
			t.Errorf("%s, imported by %s, has no line in ARCHITECTURE.md: what for, and what would it cost to write?", m, by)
		}
	}
	if n := strings.Count(string(text), "\n"); n >= 200 {
		t.Errorf("ARCHITECTURE.md has %d lines, want fewer than 200", n)
	}
}
