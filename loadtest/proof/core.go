package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// patience with all of it: on a machine that does nothing else it takes half of that.
const patience = 30 * time.Minute

// sizes of what is measured: the defaults are those that the figures in docs/benchmarks.md are taken with, tests take small ones.
type sizes struct {
	only    []string
	stores  []string // embedded, real
	lasting time.Duration
	guilds  int // of the spread load, with ten channels each
	flight  int // messages under way when the core is to show what it can

	messages int    // in the fullest channel
	members  int    // of the largest guild
	users    int    // who are online
	jit      int    // pid of a server with a just-in-time compiler, 0 = none: it is warm when that rests
	server   string // its name
	reads    int    // of each kind
}

// A chapter is one part of the proof; each starts what it needs and leaves nothing behind.
type chapter struct {
	name, about string
	prove       func(ctx context.Context, r *report, s sizes) error
}

// chapters in the order in which they run.
var chapters = []chapter{
	{"history", "pages of history, deep, over many windows, after a long silence", proveHistory},
	{"members", "pages, search and filter of a guild of a million members", proveMembers},
	{"send", "acknowledged messages/s, spread and hot, embedded and on real servers", proveSend},
	{"cores", "acknowledged messages/s of one core process and of three, on real servers", proveCores},
	{"presence", "presences refreshed in Redis", provePresence},
	{"faults", "owners and hubs killed, frozen, leaving, doubted: three cores, three hubs, real servers", proveFaults},
}

// proveCore measures what one core does.
func proveCore(ctx context.Context, r *report, args []string) error {
	s, err := parseSizes(args, r.progress)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	for _, p := range chapters {
		if len(s.only) > 0 && !slices.Contains(s.only, p.name) {
			continue
		}
		r.note("%s: %s", p.name, p.about)
		if err := p.prove(ctx, r, s); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

func parseSizes(args []string, out io.Writer) (s sizes, err error) {
	f := flag.NewFlagSet("proof core", flag.ContinueOnError)
	f.SetOutput(out)
	var about []string
	for _, p := range chapters {
		about = append(about, p.name+": "+p.about)
	}
	only := f.String("only", "", "comma-separated chapters, default all\n"+strings.Join(about, "\n"))
	stores := f.String("stores", "embedded,real", "which stores to measure on")
	f.DurationVar(&s.lasting, "lasting", 8*time.Second, "of one measurement of messages")
	f.IntVar(&s.guilds, "guilds", 50, "of the spread load, ten channels each")
	f.IntVar(&s.flight, "flight", 512, "messages under way at full load")
	f.IntVar(&s.messages, "messages", 1_000_000, "in the fullest channel")
	f.IntVar(&s.members, "members", 1_000_000, "of the largest guild")
	f.IntVar(&s.users, "users", 100_000, "who are online")
	f.IntVar(&s.reads, "reads", 1000, "of each kind that is measured")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	s.stores = strings.Split(*stores, ",")
	if *only != "" {
		s.only = strings.Split(*only, ",")
	}
	for _, name := range s.only {
		if !slices.ContainsFunc(chapters, func(p chapter) bool { return p.name == name }) {
			return s, fmt.Errorf("no part %q", name)
		}
	}
	if f.NArg() > 0 || s.lasting <= 0 || s.guilds < 1 || s.flight < 8 || s.messages < 2000 || s.members < 5000 || s.users < 1 || s.reads < 1 {
		return s, errors.New("sizes too small, or something behind the flags")
	}
	return s, nil
}

// on tells whether a kind of stores is to be measured.
func (s sizes) on(stores string) bool { return slices.Contains(s.stores, stores) }
