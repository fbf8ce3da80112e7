package main

import (
	"os"
	"strings"
	"testing"

	"github.com/starling-chat/starling/loadtest/mesh"
)

func TestMain(m *testing.M) {
	code := m.Run()
	mesh.Clean()
	os.Exit(code)
}

// Every chapter measures what it is about, with sizes that take no time. What they find is no matter: the machine does other things now.
func TestCore(t *testing.T) {
	var out, progress strings.Builder
	args := strings.Fields("core -stores embedded -lasting 300ms -guilds 2 -flight 16 -messages 2000 -members 5000 -reads 8 -users 100")
	code := run(t.Context(), args, &out, &progress)
	if code == 2 || strings.Contains(progress.String(), "proof:") {
		t.Fatalf("code %d\n%s%s", code, out.String(), progress.String())
	}
	for _, want := range []string{"Pebble alone, page of 50", "GET over an edge on Pebble", "SQLite, guild of 5000 members: 100 of a role",
		"20 channels in 2 guilds: acknowledged, 16 under way", "one hot channel", "over HTTP through two edges"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no line %q in\n%s", want, out.String())
		}
	}
	for _, line := range []string{"to the first message, each once, in order | 20000 | 20000 | ok", "embedded: calls that failed | 0 | 0 | ok"} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("want %q in\n%s", line, out.String())
		}
	}
}

func TestCoreArguments(t *testing.T) {
	for _, args := range []string{"-only nonsense", "-messages 1", "-nonsense", "-only send behind"} {
		var progress strings.Builder
		if code := run(t.Context(), append([]string{"core"}, strings.Fields(args)...), &strings.Builder{}, &progress); code == 0 || progress.Len() == 0 {
			t.Errorf("%s: code %d, %q", args, code, progress.String())
		}
	}
}
