package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/starling-chat/starling/cmd/starling/internal/config"
	"github.com/starling-chat/starling/loadtest/chaos"
)

func chaosCommand(a *app) *cobra.Command {
	keys := config.New("chaos",
		config.Key{Name: "minutes", Default: "5", Kind: "N", Usage: "how long the load goes on; 0.5 is half a minute"},
		config.Key{Name: "seed", Default: "1", Kind: "N", Usage: "of the plan and all that is left to chance"},
		config.Key{Name: "every", Default: "10s", Kind: "DURATION", Usage: "between two faults of a plan that the seed makes"},
		config.Key{Name: "plan", Default: "", Kind: "FILE", Usage: "the plan, instead of one that the seed makes"},
		config.Key{Name: "show-plan", Default: "off", Kind: config.Bool, Usage: "print the plan and do nothing else"},
		config.Key{Name: "clients", Default: "500", Kind: "N", Usage: "sessions that listen, each in three guilds"},
		config.Key{Name: "guilds", Default: "50", Kind: "N", Usage: "guilds, of three channels each"},
		config.Key{Name: "rate", Default: "100", Kind: "N", Usage: "messages a second, all writers together"},
		config.Key{Name: "edges", Default: "4", Kind: "N", Usage: "edges behind one address"},
		config.Key{Name: "leaves", Default: "2", Kind: "N", Usage: "leaves; edges are dealt out to them"},
		config.Key{Name: "hubs", Default: "3", Kind: "1|3|5", Usage: "hubs that keep the log"},
		config.Key{Name: "cores", Default: "", Kind: "N", Usage: "cores; empty for three on real stores and one otherwise"},
		config.Key{Name: "real", Default: "off", Kind: config.Bool, Usage: "start Postgres, Redis and Cassandra from deploy/servers of the source tree, and break these too"},
		keyPostgres, keyCQL, keyRedis,
		config.Key{Name: "resumed", Default: "off", Kind: config.Bool, Usage: "fail unless every session is resumed: nobody identifies anew"},
		config.Key{Name: "report", Default: "chaos.html", Kind: "FILE", Usage: "the report, one page that needs no network; empty for none"},
		config.Key{Name: "mesh-log", Default: "", Kind: "FILE", Usage: "where to put the log of the mesh; empty for nowhere"})
	return a.command(&cobra.Command{
		Short: "Break a whole mesh on this machine and account for every message",
		Long: `chaos starts a mesh of processes, lets many clients listen through one address and writers write, and breaks parts of it by a plan: kills, freezes, cut,
slow and half-open links, drains, cut sockets, members who lose rights, stores that are killed. Then it says of every message what became of it. It ends
with 1 unless nothing was lost, doubled, disordered or leaked, and writes a report with a plot of deliveries, latency and faults.

A plan has a fault on each line: TIME FAULT TARGET. These are all there are; # begins a comment:
  0:10 kill edge-1                edge, leaf, hub, core, and with --real postgres, redis, cassandra; it is started again
  0:20 stop hub-2 for 4s          frozen (SIGSTOP), then thawed
  0:30 cut leaf-1 for 5s          its links to all hubs; likewise slow, half-open
  0:40 drain edge-2               SIGTERM: its clients are sent elsewhere; or a core, whose buckets others take over
  0:50 sockets 20%                a share of the clients loses its connection
  0:55 rights kick 10 for 3s      ten members are kicked, and back after 3 s; likewise role, overwrite, ban`,
		Example: `  # on embedded stores, with one core: a minute, a fault each five seconds
  starling chaos --minutes 1 --every 5s

  # the whole thing: three cores on real servers, which die too
  starling chaos --minutes 5 --seed 1 --real

  # what would a seed do? change it, and run that
  starling chaos --seed 7 --show-plan > plan.txt
  starling chaos --plan plan.txt

  # one fault, watched closely
  echo '0:05 kill edge-1' | starling chaos --minutes 0.3 --clients 50 --guilds 5 --hubs 1 --plan /dev/stdin`,
	}, keys, func(ctx context.Context, v *config.Values) error {
		cfg := chaos.Config{Length: minutesOf(v), Seed: seedOf(v), Every: v.Duration("every", time.Second, time.Hour), Clients: v.Int("clients", 1, 20_000),
			Guilds: v.Int("guilds", 1, 100), Rate: float64(v.Int("rate", 1, 10_000)), Real: v.Switch("real"), Resumed: v.Switch("resumed"),
			Postgres: postgres(v), CQL: v.String("cql"), Redis: redisOf(v), Report: v.String("report"), Log: v.String("mesh-log"), Out: a.stdout,
			Shape: chaos.Shape{Edges: v.Int("edges", 1, 32), Leaves: v.Int("leaves", 1, 16), Hubs: v.Int("hubs", 1, 5), Cores: 1}}
		clusterOf(v, 1)
		if given := cfg.Postgres != "" || cfg.CQL != "" || cfg.Redis != ""; given && cfg.Real {
			v.Wrong("real", "starts stores of its own: leave out --postgres, --cql and --redis")
		} else if given || cfg.Real {
			cfg.Shape.Cores = 3
		}
		if v.String("cores") != "" {
			cfg.Shape.Cores = v.Int("cores", 1, 16)
		}
		if cfg.Shape.Hubs%2 == 0 && cfg.Shape.Hubs > 0 {
			v.Wrong("hubs", "%d: want 1, 3 or 5", cfg.Shape.Hubs)
		}
		cfg.Plan = planOf(v, cfg.Broken())
		show := v.Switch("show-plan")
		var err error
		if cfg.Bin, err = os.Executable(); err != nil {
			return err
		}
		if err := v.Err(); err != nil {
			return err
		}
		if show {
			if cfg.Plan == nil {
				cfg.Plan = chaos.Make(cfg.Seed, cfg.Broken(), cfg.Length, cfg.Every, cfg.Clients)
			}
			fmt.Fprint(a.stdout, cfg.Plan)
			return nil
		}
		if f, ok := a.stdout.(*os.File); ok {
			cfg.Status = term.IsTerminal(int(f.Fd()))
		}
		cfg.Command = "starling " + shellWords(os.Args[1:])
		return runChaos(ctx, a, cfg)
	})
}

func runChaos(ctx context.Context, a *app, cfg chaos.Config) error {
	r, err := chaos.Run(ctx, cfg)
	if err != nil {
		return err
	}
	r.Print(a.stdout)
	if cfg.Report != "" {
		if err := r.WriteReport(cfg.Report); err != nil {
			return err
		}
		path, _ := filepath.Abs(cfg.Report)
		fmt.Fprintf(a.stdout, "report: %s\n", path)
	}
	if !r.Good() {
		return errors.New("the promise was broken")
	}
	return nil
}

// shellWords writes arguments as a shell takes them.
func shellWords(args []string) string {
	words := make([]string, len(args))
	for i, a := range args {
		if words[i] = a; a == "" || strings.ContainsAny(a, " \t\n'\"\\$`&|;<>()*?[]#~!{}") {
			words[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

// minutesOf reads the key minutes, which may have a fraction.
func minutesOf(v *config.Values) time.Duration {
	m, err := strconv.ParseFloat(v.String("minutes"), 64)
	if err != nil || math.IsNaN(m) || m < 0.05 || m > 24*60 {
		v.Wrong("minutes", "%q: want a number from 0.05 to 1440", v.String("minutes"))
		return time.Minute
	}
	return time.Duration(m * float64(time.Minute)).Round(time.Second)
}

func seedOf(v *config.Values) uint64 {
	seed, err := strconv.ParseUint(v.String("seed"), 10, 64)
	if err != nil {
		v.Wrong("seed", "%q: want a number", v.String("seed"))
	}
	return seed
}

// planOf reads the plan, if one is given.
func planOf(v *config.Values, s chaos.Shape) chaos.Plan {
	path := v.String("plan")
	if path == "" {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		v.Wrong("plan", "%w", err)
		return nil
	}
	defer f.Close()
	p, err := chaos.Parse(f, s)
	if err != nil {
		v.Wrong("plan", "%s: %w", path, err)
	}
	return p
}
