package main

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// coreRows is what cores --json tells, as far as these tests need it.
type coreRows struct {
	Cores []struct {
		Name, State, Why string
		Info             *struct {
			Part struct {
				Owned, Moving, Pinned int
				Drained               bool
			}
		}
	}
}

func (r coreRows) owned() (counts map[string]int, sum int) {
	counts = map[string]int{}
	for _, c := range r.Cores {
		if c.Info != nil {
			counts[c.Name] = c.Info.Part.Owned
			sum += c.Info.Part.Owned
		}
	}
	return counts, sum
}

type bucketRow struct {
	Bucket                   int
	Owner, Phase             string
	Epoch, Sequence, Counter uint64
	Rate                     *float64
}

func (tw *town) bucketRows(t *testing.T, args ...string) []bucketRow {
	t.Helper()
	var all struct{ Buckets []bucketRow }
	tw.adminJSON(t, &all, append([]string{"buckets"}, args...)...)
	return all.Buckets
}

// An operator looks at three cores, moves a guild to another core, drains a core, and has it take part again, while Alice goes
// on to make channels.
func TestAdminOfManyCores(t *testing.T) {
	tw := startTown(t, t.TempDir(), "--rate-limits=off", "--cores", "3")
	until(t, "the cores have shared the buckets", func() bool {
		var rows coreRows
		tw.adminJSON(t, &rows, "cores")
		counts, sum := rows.owned()
		for _, c := range rows.Cores {
			if c.Info == nil || c.Info.Part.Moving > 0 || counts[c.Name] < 200 {
				return false
			}
		}
		return sum == 1024
	})
	s := tw.seed(t)
	post200 := func(n int) {
		t.Helper()
		url := tw.base(t) + "/api/v10/guilds/" + s.Guild + "/channels"
		if status, answer := post(t, url, s.Owner.Token, fmt.Sprintf(`{"name":"tea-%d"}`, n)); status != 201 {
			t.Errorf("channel %d: got %d %v", n, status, answer)
		}
	}
	post200(0)

	for _, c := range []struct {
		args  string
		wants []string
	}{
		{"cores", []string{"core-1", "core-2", "core-3", "serves", "hub-", "1024 of 1024 buckets owned by 3 cores"}},
		{"hubs", []string{"hub-1", "1/1", "EV_local_0", "KV_OWNERS", "leaf-1,leaf-2", "1 hub, "}},
		{"leaves", []string{"leaf-1", "leaf-2", "serves", "ms", "2 of 2 leaves linked to a hub, for 2 edges"}},
		{"edges", []string{"edge-1", "edge-2", "serves", "leaf-1", "leaf-2", "0 sessions on 2 edges"}},
		{"buckets", []string{"core-", "owned, 3 cores", "never used"}},
	} {
		out, remarks, err := tw.admin(c.args)
		for _, want := range c.wants {
			if err != nil || !strings.Contains(out+remarks, want) {
				t.Errorf("admin %s: no %q in\n%s%s%v", c.args, want, out, remarks, err)
			}
		}
	}
	all := tw.bucketRows(t, "--all")
	if len(all) != 1024 {
		t.Fatalf("buckets of all cores: got %d, want each once", len(all))
	}

	before := tw.bucketRows(t, s.Guild)[0]
	to := map[string]string{"core-1": "core-2", "core-2": "core-3", "core-3": "core-1"}[before.Owner]
	var moved struct {
		Bucket   int
		From, To string
		Pinned   bool
	}
	tw.adminJSON(t, &moved, "move-bucket", s.Guild, to)
	if moved.Bucket != before.Bucket || moved.From != before.Owner || moved.To != to || !moved.Pinned {
		t.Errorf("moved: got %+v, want bucket %d from %s to %s", moved, before.Bucket, before.Owner, to)
	}
	post200(1)
	if after := tw.bucketRows(t, s.Guild)[0]; after.Owner != to || after.Epoch <= before.Epoch || after.Counter <= before.Counter {
		t.Errorf("the bucket: got %+v, was %+v", after, before)
	}
	if out, remarks, err := tw.admin("move-bucket", s.Guild, to); err != nil || !strings.Contains(remarks, "was there already") {
		t.Errorf("again: %v\n%s%s", err, out, remarks)
	}

	out, remarks, err := tw.admin("drain", to)
	if err != nil || !strings.Contains(remarks, to+" has no bucket after") {
		t.Errorf("drain: %v\n%s%s", err, out, remarks)
	}
	post200(2)
	var rows coreRows
	tw.adminJSON(t, &rows, "cores")
	if counts, sum := rows.owned(); counts[to] != 0 || sum != 1024 {
		t.Errorf("drained: got %v, want all but %s to share 1024", counts, to)
	}
	for _, c := range rows.Cores {
		if want := map[bool]string{true: "drained", false: "serves"}[c.Name == to]; c.State != want {
			t.Errorf("%s: got %q, want %q", c.Name, c.State, want)
		}
	}
	for args, want := range map[string]string{
		"move-bucket 7 " + to:        "drained",
		"move-bucket 7 core-9":       "not one that lives; there are",
		"move-bucket 1024 core-1":    "0 to 1023",
		"move-bucket 7":              "or --free",
		"move-bucket 7 core-1 -free": "flag",
		"drain core-9":               "there is no core",
		"drain edge-1":               "there is no core",
	} {
		if _, _, err := tw.admin(strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("admin %s: got %v, want %q", args, err, want)
		}
	}
	if _, remarks, err := tw.admin("drain", to, "--undo"); err != nil || !strings.Contains(remarks, "buckets after") {
		t.Errorf("undo: %v\n%s", err, remarks)
	}
	if _, remarks, err := tw.admin("move-bucket", s.Guild, "--free"); err != nil {
		t.Errorf("free: %v\n%s", err, remarks)
	}
	post200(3)
	if after := tw.bucketRows(t, s.Guild)[0]; after.Owner != before.Owner {
		t.Errorf("freed: the bucket is of %s, want %s as in the beginning", after.Owner, before.Owner)
	}
	tw.leave(t)
}

// One role after the other is killed or stopped, and the tables say so.
func TestAdminShowsWhoIsMissing(t *testing.T) {
	t.Setenv(asMain, "1")
	tw := startTown(t, t.TempDir(), "--processes")
	rows := readMesh(t, tw.dir)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var out, remarks text
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"admin", "--data", tw.dir, "edges", "--watch", "--json"}, noEnv, &out, &remarks)
	}()
	until(t, "both edges serve", func() bool { return strings.Count(out.String(), `"state":"serves"`) >= 2 })
	syscall.Kill(rows["edge-1"].PID, syscall.SIGKILL)
	syscall.Kill(rows["leaf-2"].PID, syscall.SIGSTOP)
	defer syscall.Kill(rows["leaf-2"].PID, syscall.SIGCONT)
	until(t, "one edge is gone, the other cut off", func() bool {
		text := out.String()
		last := text[strings.LastIndexByte(strings.TrimSpace(text), '\n')+1:]
		return strings.Contains(last, `"state":"unhealthy"`) && regexp.MustCompile(`"state":"(silent|ended)"`).MatchString(last) && json.Valid([]byte(last))
	})
	stop()
	if err := <-done; err != nil {
		t.Errorf("watch ended with %v", err)
	}
	until(t, "its end is known", func() bool { return readMesh(t, tw.dir)["edge-1"].PID == 0 })
	for args, wants := range map[string][]string{
		"edges":  {"edge-1  ended", "edge-1: its process is gone", "edge-2: edge: "},
		"leaves": {"leaf-1  serves", "leaf-2  silent", "is it stopped"},
		"cores --admin http://" + rows["core-1"].Admin + ",http://" + rows["edge-1"].Admin: {"core-1", "nobody listens there"},
	} {
		out, remarks, err := tw.admin(strings.Fields(args)...)
		if err == nil {
			t.Errorf("admin %s: no error, though a role is missing", args)
			continue
		}
		for _, want := range wants {
			if !strings.Contains(out+remarks+err.Error(), want) {
				t.Errorf("admin %s: no %q in\n%s%s%v", args, want, out, remarks, err)
			}
		}
	}
	syscall.Kill(rows["leaf-2"].PID, syscall.SIGCONT)
	until(t, "the leaf is back", func() bool { out, _, err := tw.admin("leaves"); return err == nil && strings.Count(out, "serves") == 2 })
	tw.leave(t)
}
