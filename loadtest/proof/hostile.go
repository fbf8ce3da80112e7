package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/starling-chat/starling/loadtest/mesh"
)

// hostileTests are the tests of package loadtest that send what nobody should, by what they send. Each checks the code that Discord's API
// gives, and that nothing crosses a right.
var hostileTests = map[string]string{
	"TestHostileBodies":          "bodies: types, numbers, depth, bytes, size, duplicate keys",
	"TestHostileIDs":             "ids that are none, unknown or others'",
	"TestIDOR":                   "ids of others in every path, every role of caller",
	"TestHostileTokens":          "tokens: expired, forged, none, wrong key or kid, revoked",
	"TestHostilePathsAndHeaders": "paths, header floods, broken HTTP",
	"TestHostileFrames":          "gateway frames",
	"TestHostileRequests":        "gateway requests of an identified session",
	"TestHostileFuzz":            "bent bodies and frames at random",
	"TestHalfOpenSockets":        "10,000 half-open sockets, slow headers, bodies and handshakes",
	"TestNoHTTP2":                "HTTP/2 (there is none to reset)",
	"TestArgonLoad":              "password hashes without end",
}

const hostileLimit = 10 * time.Minute

// hostile runs them and prints a line for each family.
func (w *wire) hostile(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, hostileLimit)
	defer stop()
	root, err := mesh.Root()
	if err != nil {
		return err
	}
	w.r.note("hostile cases")
	families := slices.Sorted(maps.Keys(hostileTests))
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-v", "-json", "-run", "^("+strings.Join(families, "|")+")$", "./loadtest")
	cmd.Dir, cmd.Stderr = root, os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	good, bad := map[string]int{}, map[string]int{}
	sc := bufio.NewScanner(out)
	sc.Buffer(nil, 4<<20)
	for sc.Scan() {
		countCase(sc.Bytes(), good, bad)
	}
	err = errors.Join(sc.Err(), cmd.Wait())
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		return fmt.Errorf("hostile cases: %w", err)
	}
	for _, f := range families {
		n := good[f] + bad[f]
		w.r.line("hostile cases answered as Discord does: "+hostileTests[f], "all", fmt.Sprintf("%d of %d", good[f], n), n > 0 && bad[f] == 0)
	}
	return nil
}

// countCase reads a line of go test -json. A test that has subtests is as many cases as these, any other is one.
func countCase(line []byte, good, bad map[string]int) {
	var e struct{ Action, Test string }
	if json.Unmarshal(line, &e) != nil || e.Test == "" {
		return
	}
	family, _, sub := strings.Cut(e.Test, "/")
	switch {
	case e.Action == "pass" && (sub || good[family]+bad[family] == 0):
		good[family]++
	case (e.Action == "fail" || e.Action == "skip") && (sub || bad[family] == 0): // also of what is checked after all of them
		bad[family]++
	}
}
