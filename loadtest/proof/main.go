// Command proof measures what is claimed of a mesh and prints each figure as a line `claim | asked | measured | ok`; it exits with 1
// where one falls short. It starts the built binary and speaks the public wire, with clients as light as can be: they share the machine's
// cores with what they measure. It is no test of correctness of frames; package loadtest is.
//
//	go run ./loadtest/proof wire             all of it; -readme puts the lines into README.md; -help names parts
//	go run ./loadtest/proof core             all of it
//	go run ./loadtest/proof core -only send  a part; -help names them
//	go run ./loadtest/proof delivery         all of it, for hours: a million schedules
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/starling-chat/starling/loadtest/mesh"
)

// A proof measures and reports; args are what follows its name.
type proof func(ctx context.Context, r *report, args []string) error

// proofs are the subcommands.
var proofs = map[string]proof{
	"wire": proveWire,
	"core": proveCore,

	"delivery": proveDelivery,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	mesh.Clean()
	os.Exit(code)
}

func run(ctx context.Context, args []string, out, progress io.Writer) int {
	if len(args) == 0 || proofs[args[0]] == nil {
		fmt.Fprintln(progress, "usage: proof wire | core | delivery [flags]")
		return 2
	}
	r := &report{out: out, progress: progress, began: time.Now()}
	if err := proofs[args[0]](ctx, r, args[1:]); err != nil {
		fmt.Fprintln(progress, "proof:", err)
		return 1
	}
	if r.short {
		return 1
	}
	return 0
}

// A report prints the lines.
type report struct {
	out, progress io.Writer
	began         time.Time
	titled, short bool
	lines         []string // without the title
}

// line prints one figure.
func (r *report) line(claim, asked, measured string, ok bool) {
	if !r.titled {
		fmt.Fprintln(r.out, "claim | asked | measured | ok")
		r.titled = true
	}
	verdict := "ok"
	if !ok {
		verdict, r.short = "NOT OK", true
	}
	r.lines = append(r.lines, fmt.Sprintf("%s | %s | %s | %s", claim, asked, measured, verdict))
	fmt.Fprintln(r.out, r.lines[len(r.lines)-1])
}

// atMost compares a duration with a bound.
func (r *report) atMost(claim string, asked, measured time.Duration, more string) {
	r.line(claim, "≤ "+asked.String(), measured.Round(100*time.Microsecond).String()+more, measured <= asked)
}

// atLeast compares a rate with a bound; 0 = none is asked for.
func (r *report) atLeast(claim string, asked, measured float64, more string) {
	bound := "told"
	if asked > 0 {
		bound = fmt.Sprintf("≥ %.0f/s", asked)
	}
	r.line(claim, bound, fmt.Sprintf("%.0f/s%s", measured, more), measured >= asked)
}

// zero wants a count to be none.
func (r *report) zero(claim string, measured int) {
	r.line(claim, "0", fmt.Sprint(measured), measured == 0)
}

func (r *report) note(format string, args ...any) {
	fmt.Fprintf(r.progress, "%5.1fs  %s\n", time.Since(r.began).Seconds(), fmt.Sprintf(format, args...))
}
