package faults

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/starling-chat/starling/loadtest/check"
	"github.com/starling-chat/starling/loadtest/mesh"
)

// clockVariable names the folder where processes of a binary with clocks that tests may set look for theirs.
const clockVariable = "STARLING_TEST_CLOCK"

// clockSource is put behind the time package's own file: what a process takes for the wall's time is ahead by the seconds in the file that is
// named like the role. What passes is measured as ever, as when somebody sets a machine's clock.
//
//go:embed clock.go.txt
var clockSource string

// BuildWithClocks compiles the mesh's binary with a time package whose clock tests may set, for each process by itself. No switch of the product
// could do that: what looks at a clock where it should not would not look at the switch. The caller removes the binary.
func BuildWithClocks(ctx context.Context) (bin string, err error) {
	root, err := mesh.Root()
	if err != nil {
		return "", err
	}
	where, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("go env: %w", err)
	}
	original := filepath.Join(strings.TrimSpace(string(where)), "src", "time", "time.go")
	source, err := os.ReadFile(original)
	if err != nil {
		return "", err
	}
	const reads = "\tsec, nsec, mono := runtimeNow()\n"
	now, rest, ok := strings.Cut(string(source), "\nfunc Now() Time {\n"+reads)
	if !ok {
		return "", errors.New("time.Now of this Go is another one")
	}
	dir, err := os.MkdirTemp("", "starling-clock-")
	if err != nil {
		return "", err
	}
	source = []byte(now + "\nfunc Now() Time {\n" + reads + "\tsec += testAhead.Load()\n" + rest + clockSource)
	source = []byte(strings.Replace(string(source), "import (\n", "import (\n\t\"sync/atomic\"\n\t\"syscall\"\n", 1))
	changed, overlay := filepath.Join(dir, "time.go"), filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{original: changed}})
	if err = errors.Join(err, os.WriteFile(changed, source, 0o644), os.WriteFile(overlay, list, 0o644)); err != nil {
		return "", err
	}
	bin = filepath.Join(dir, "starling")
	cmd := exec.CommandContext(ctx, "go", "build", "-overlay", overlay, "-o", bin, "./cmd/starling")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build with clocks: %w\n%s", err, out)
	}
	return bin, nil
}

// ClockSet sets the clock of the core that owns most of what the load is in, and sets it right again after a while: forth by d, or back. It needs
// a binary of BuildWithClocks.
func ClockSet(d, lasting time.Duration) Fault {
	return Fault{fmt.Sprintf("clock %+.0f min", d.Minutes()), func(ctx context.Context, l *Lab, run *check.Run) error {
		core, buckets, err := l.busiest(ctx, run)
		if err != nil {
			return err
		}
		l.Log("the clock of %s, which owns buckets %v of the load, is set by %v", core, buckets, d)
		file := filepath.Join(l.clocks, core)
		if err := os.WriteFile(file, fmt.Appendf(nil, "%.0f", d.Seconds()), 0o644); err != nil {
			return err
		}
		defer os.Remove(file)
		if err := wait(ctx, lasting); err != nil {
			return err
		}
		if err := l.skewed(core, d); err != nil {
			return err
		}
		// The owner is killed with its clock wrong, and the next one goes on where it was: nonces and ids are those of two clocks.
		run.Phase(fmt.Sprintf("killed with the clock at %+.0f min", d.Minutes()))
		if err := l.kill(core); err != nil {
			return err
		}
		if err := wait(ctx, awayFor-time.Second); err != nil {
			return err
		}
		run.Phase(fmt.Sprintf("joining with the clock at %+.0f min", d.Minutes()))
		if err := l.whole(ctx); err != nil {
			return err
		}
		if err := wait(ctx, lasting); err != nil {
			return err
		}
		run.Phase("clock right")
		return os.Remove(file)
	}}
}

// skewed looks whether a core's clock is set: what it logs bears it.
func (l *Lab) skewed(core string, d time.Duration) error {
	r, err := l.Mesh.Role(core)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookLimit)
	defer cancel()
	got, err := date(ctx, r)
	if err != nil {
		return err
	}
	if off := time.Until(got); (off - d).Abs() > time.Minute {
		return fmt.Errorf("the clock of %s is %v off, want %v: the binary has no clocks to set", core, off.Round(time.Second), d)
	}
	return nil
}
