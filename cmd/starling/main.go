// Command starling is every role of the mesh in one binary: hub, leaf, core and edge, dev for all of them on one machine, and seed, which
// fills a mesh with people. It turns flags into configurations and parts into a whole; the work is in the packages it starts.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/starling-chat/starling/cmd/starling/internal/dev"
)

func main() {
	ctx, stop := untilSignal(os.Getenv(dev.UnderDev) != "")
	defer stop()
	if exe, err := os.Executable(); err == nil {
		hasher = []string{exe, "hasher"}
	}
	if err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintf(os.Stderr, "starling: %v\n", err)
		os.Exit(1)
	}
}

// run is the program: it returns when what args ask for is done, or, after ctx ended, has stopped in order.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	root := newRoot(&app{getenv: getenv, stdout: stdout, stderr: stderr})
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return root.ExecuteContext(ctx)
}

// sameSignal is how soon after the first a signal is taken for the same one: timeout(1) and some terminals send it twice.
const sameSignal = 250 * time.Millisecond

// untilSignal gives a context that the first signal ends; the second ends the process. A role process under starling dev hears of
// ctrl-C from its parent, in order.
func untilSignal(underDev bool) (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	if underDev {
		signal.Ignore(os.Interrupt)
		signal.Notify(signals, syscall.SIGTERM)
	} else {
		signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	}
	go func() {
		<-signals
		cancel()
		for first := time.Now(); time.Since(first) < sameSignal; {
			<-signals
		}
		fmt.Fprintln(os.Stderr, "starling: stopped at once")
		os.Exit(130)
	}()
	return ctx, cancel
}
