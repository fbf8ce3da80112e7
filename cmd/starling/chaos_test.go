package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a seed would do is shown, can be changed, and is a plan again.
func TestChaosShowsItsPlan(t *testing.T) {
	show := func(args ...string) string {
		t.Helper()
		var out text
		if err := run(context.Background(), append([]string{"chaos", "--show-plan"}, args...), noEnv, &out, &out); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	plan := show("--seed", "7", "--minutes", "1")
	if lines := strings.Count(plan, "\n"); lines < 5 || !strings.Contains(plan, "0:10 kill edge-") || strings.Contains(plan, "postgres") {
		t.Errorf("got\n%s", plan)
	}
	path := filepath.Join(t.TempDir(), "plan.txt")
	if err := os.WriteFile(path, []byte(plan+"# by hand\n0:55 kill hub-3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := show("--plan", path); !strings.HasPrefix(got, plan[:strings.LastIndex(strings.TrimSpace(plan), "\n")]) || !strings.Contains(got, "0:55 kill hub-3") {
		t.Errorf("got\n%s\nwant the plan and a line more:\n%s", got, plan)
	}
	if real := show("--real", "--minutes", "20"); !strings.Contains(real, "kill cassandra") || !strings.Contains(real, "core-3") {
		t.Errorf("real stores and cores are left alone:\n%s", real)
	}
}

func TestMistakesOfChaosAreToldAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plan.txt")
	if err := os.WriteFile(path, []byte("0:10 kill edge-9\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := run(context.Background(), strings.Fields("chaos --minutes never --seed x --edges 0 --hubs 2 --real --redis redis://127.0.0.1:1/0 --plan "+path), noEnv, &text{}, &text{})
	if err == nil {
		t.Fatal("got no mistake")
	}
	for _, want := range []string{"minutes (from", "seed (from", "edges (from", "hubs (from", "real (from", "plan (from", "line 1"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the mistakes do not name %q:\n%v", want, err)
		}
	}
	err = run(context.Background(), strings.Fields("chaos --cores 3 --report="), noEnv, &text{}, &text{})
	if err == nil || !strings.Contains(err.Error(), "need real stores") {
		t.Errorf("got %v, want real stores asked for", err)
	}
}

func TestCommandsCanBePasted(t *testing.T) {
	got := shellWords([]string{"chaos", "--report", "", "--plan=it's here.txt", "--seed=1"})
	if want := `chaos --report '' '--plan=it'\''s here.txt' --seed=1`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
