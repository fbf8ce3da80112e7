package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/starling-chat/starling/loadtest/chaos"
	"github.com/starling-chat/starling/loadtest/mesh"
)

// What is asked of delivery.
const (
	schedules    = 1_000_000
	libraryKills = 20
	liveAgain    = time.Second // p95, from kill -9 of an edge
)

// A deliveryChapter is one part of the proof of delivery.
type deliveryChapter struct {
	name, about string
	prove       func(ctx context.Context, r *report, d *delivery) error
}

var deliveryChapters = []deliveryChapter{
	{"mutations", "what breaks the promise on purpose is found", proveMutations},
	{"libraries", "discordgo and discord.js resume on another edge", proveLibraries},
	{"herd", "ten thousand sessions lose their edge", func(ctx context.Context, r *report, _ *delivery) error { return proveHerd(ctx, r) }},
	{"chaos", "a fault every ten seconds, on real stores", proveChaos},
	{"log", "simulated schedules of the log", proveSchedules("of the log", "relay")},
	{"resume", "simulated schedules of resume", proveSchedules("of resume", "edge")},
}

// delivery is what the flags say.
type delivery struct {
	n       int
	minutes float64
	seed    uint64
	report  string
}

// proveDelivery measures what docs/delivery.md promises.
func proveDelivery(ctx context.Context, r *report, args []string) error {
	f := flag.NewFlagSet("proof delivery", flag.ContinueOnError)
	f.SetOutput(r.progress)
	var about []string
	for _, p := range deliveryChapters {
		about = append(about, p.name+": "+p.about)
	}
	only := f.String("only", "", "comma-separated chapters, default all\n"+strings.Join(about, "\n"))
	readme := f.Bool("readme", false, "put the lines into README.md, in place of the last run's")
	var d delivery
	f.IntVar(&d.n, "schedules", schedules, "to simulate, of the log and of resume each")
	f.Float64Var(&d.minutes, "minutes", 5, "of chaos")
	f.Uint64Var(&d.seed, "seed", 1, "of chaos")
	f.StringVar(&d.report, "report", "chaos.html", "of chaos; empty for none")
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	var names []string
	if *only != "" {
		names = strings.Split(*only, ",")
	}
	for _, name := range names {
		if !slices.ContainsFunc(deliveryChapters, func(p deliveryChapter) bool { return p.name == name }) {
			return fmt.Errorf("no part %q", name)
		}
	}
	for _, p := range deliveryChapters {
		if names != nil && !slices.Contains(names, p.name) {
			continue
		}
		r.note("%s: %s", p.name, p.about)
		if err := p.prove(ctx, r, &d); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	if *readme {
		return writeReadme("delivery", r.lines)
	}
	return nil
}

// goTest runs tests of the tree and gives what they print; failed tells that they did not pass.
func goTest(ctx context.Context, r *report, args ...string) (out string, failed bool, err error) {
	return command(ctx, r, "go", append([]string{"test", "-count=1", "-v", "-timeout", "0"}, args...)...)
}

// spoken is what a command prints. Its two outputs are copied by a goroutine each.
type spoken struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *spoken) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *spoken) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// command runs at the root of the tree; failed tells that it ran, and failed.
func command(ctx context.Context, r *report, name string, args ...string) (out string, failed bool, err error) {
	root, err := mesh.Root()
	if err != nil {
		return "", false, err
	}
	var buf spoken
	cmd := exec.CommandContext(ctx, name, args...)
	if strings.Contains(name, "/") {
		cmd.Path = filepath.Join(root, name)
	}
	cmd.Dir, cmd.Stdout, cmd.Stderr = root, &buf, io.MultiWriter(&buf, r.progress)
	cmd.Cancel, cmd.WaitDelay = func() error { return cmd.Process.Signal(syscall.SIGTERM) }, 10*time.Second // it ends what it began
	r.note("%s", strings.Join(cmd.Args, " "))
	err = cmd.Run()
	var exit *exec.ExitError
	if failed = errors.As(err, &exit); failed {
		err = nil
		fmt.Fprintln(r.progress, buf.String())
	}
	return buf.String(), failed, err
}

var (
	caughtBy  = regexp.MustCompile(`caught by schedule (\d+)`)
	passed    = regexp.MustCompile(`(?m)^\s+--- (PASS|FAIL): TestSimulationCatches/(\S+)`)
	played    = regexp.MustCompile(`(?m)^\s+sim_test\.go:\d+: (\d+) schedules: `)
	violation = regexp.MustCompile(`(?m)^\s+\S+_test\.go:\d+: seed \d+: .*$`)
	flights   = regexp.MustCompile(`(discordgo|discord\.js): killed → RESUMED (\d+) times: p0 (\S+), p50 (\S+), p90 (\S+), p95 (\S+), p100 (\S+); second of two (.*)`)
)

func proveMutations(ctx context.Context, r *report, _ *delivery) error {
	for _, pkg := range []string{"./relay", "./edge"} {
		out, failed, err := goTest(ctx, r, "-run", "TestSimulationCatches", pkg)
		if err != nil {
			return err
		}
		by := caughtBy.FindAllStringSubmatch(out, -1)
		all := passed.FindAllStringSubmatch(out, -1)
		for i, m := range all {
			told := "no"
			if m[1] == "PASS" && i < len(by) {
				told = "by schedule " + by[i][1]
			}
			r.line("mutation caught: "+strings.ReplaceAll(m[2], "_", " "), "yes", told, m[1] == "PASS" && !failed)
		}
		if len(all) == 0 {
			return fmt.Errorf("%s: no mutations", pkg)
		}
	}
	_, failed, err := goTest(ctx, r, "-run", "TestStoresComeBehindTheLog", "./core/bucket")
	if err != nil {
		return err
	}
	r.line("mutation caught: store write before the append", "yes", map[bool]string{false: "by a phantom in the history", true: "no"}[failed], !failed)
	return nil
}

func proveSchedules(of, pkg string) func(context.Context, *report, *delivery) error {
	return func(ctx context.Context, r *report, d *delivery) error {
		began := time.Now()
		out, failed, err := command(ctx, r, "deploy/sim.sh", pkg, strconv.Itoa(d.n))
		if err != nil {
			return err
		}
		done := 0
		for _, m := range played.FindAllStringSubmatch(out, -1) {
			k, _ := strconv.Atoi(m[1])
			done += k
		}
		bad := len(violation.FindAllString(out, -1))
		r.line(fmt.Sprintf("%d simulated schedules %s: violations", d.n, of), "0", fmt.Sprintf("%d in %d schedules, %.0f/s", bad, done, float64(done)/time.Since(began).Seconds()),
			!failed && bad == 0 && done >= d.n)
		return nil
	}
}

func proveLibraries(ctx context.Context, r *report, _ *delivery) error {
	out, failed, err := goTest(ctx, r, "-run", "TestLibrariesElsewhere", "./loadtest")
	if err != nil {
		return err
	}
	all := flights.FindAllStringSubmatch(out, -1)
	if len(all) != 2 {
		return errors.New("the libraries tell nothing")
	}
	for _, m := range all {
		n, _ := strconv.Atoi(m[2])
		r.line(m[1]+", unmodified: its edge killed, resumed by itself at another, nothing lost or doubled, one IDENTIFY", fmt.Sprint(libraryKills),
			fmt.Sprintf("%d times, p50 %s, p95 %s; second of two kills %s", n, m[4], m[6], m[8]), !failed && n >= libraryKills)
	}
	return nil
}

func proveChaos(ctx context.Context, r *report, d *delivery) error {
	bin, err := mesh.Build(mesh.Race)
	if err != nil {
		return err
	}
	cfg := chaos.Config{Bin: bin, Shape: chaos.Shape{Edges: 4, Leaves: 2, Hubs: 3, Cores: 3}, Length: time.Duration(d.minutes * float64(time.Minute)), Every: 10 * time.Second,
		Seed: d.seed, Clients: 500, Guilds: 50, Rate: 100, Real: true, Resumed: true, Out: r.progress,
		Log: filepath.Join(os.TempDir(), "starling-chaos.log"), Command: fmt.Sprintf("starling chaos --minutes %g --seed %d --real --resumed", d.minutes, d.seed)}
	got, err := chaos.Run(ctx, cfg)
	if err != nil {
		return err
	}
	got.Print(r.progress)
	if d.report != "" {
		if err := got.WriteReport(d.report); err != nil {
			return err
		}
	}
	what := fmt.Sprintf("%g minutes of chaos, seed %d, %d clients, %d faults, %d deliveries due: ", d.minutes, d.seed, cfg.Clients, len(got.Effects), got.Due)
	r.zero(what+"lost", got.Lost+got.HistoryLost+got.MissedAnew+got.Adrift)
	r.zero(what+"doubled", got.Doubled+got.HistoryDoubled)
	r.zero(what+"disordered", got.Disordered)
	r.zero(what+"leaked", got.Leaked)
	r.line(what+"sessions resumed", fmt.Sprint(got.Sockets), fmt.Sprint(got.Tally.Resumed), got.Identified == 0)
	r.line(what+"messages doubled by who sends them", "told", fmt.Sprintf("%d, posted without a nonce and repeated for lack of an answer", got.Repeated), true)
	r.atMost("edge killed, live again, p95", liveAgain, got.Killed.At(.95), fmt.Sprintf(" (p50 %v, max %v, %d clients)", got.Killed.At(.5).Round(time.Millisecond),
		got.Killed.Max().Round(time.Millisecond), len(got.Killed)))
	r.line("deliveries that nobody can decide, for lack of a witness", "≤ 1 %", fmt.Sprint(got.Undecided), !got.Blind())
	r.zero("other problems", len(got.Problems))
	return nil
}
