package main

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"time"
)

// proveCores has one core and then three take messages, on equal stores and one hub. Embedded stores belong to one process, so there are
// no cores of several processes on them.
func proveCores(ctx context.Context, r *report, s sizes) error {
	if !s.on("real") {
		return nil
	}
	rates := map[int]float64{}
	for _, cores := range []int{1, 3} {
		full, err := sendCores(ctx, r, s, cores)
		if err != nil {
			return fmt.Errorf("%d cores: %w", cores, err)
		}
		rates[cores] = full.rate()
	}
	r.line(fmt.Sprintf("cores 3 against cores 1, all processes, stores and senders on %d cores of one machine", runtime.NumCPU()), "told",
		fmt.Sprintf("× %.2f", rates[3]/rates[1]), true)
	return nil
}

// sendCores runs a mesh of as many cores on stores of its own and gives what it took of the spread load.
func sendCores(ctx context.Context, r *report, s sizes, cores int) (full measured, err error) {
	r.note("starting Postgres, Cassandra and Redis")
	real, err := startServers(ctx, "postgres", "cassandra", "redis")
	if err != nil {
		return full, err
	}
	defer real.stop()
	b, err := startBench(ctx, r, s, "--postgres", real.postgres, "--cql", real.cql, "--redis", real.redis,
		"--cores", strconv.Itoa(cores), "--hubs", "1")
	if err != nil {
		return full, err
	}
	defer b.close()
	if len(b.cores) != cores {
		return full, fmt.Errorf("%d core processes run", len(b.cores))
	}
	for _, l := range []struct {
		where string
		load  load
	}{
		{"one hot channel", load{make: b.w.hot, flight: s.flight / 2}},
		{fmt.Sprintf("%d channels in %d guilds", len(b.w.channels), s.guilds), load{make: b.w.spread, flight: s.flight}},
	} {
		l.load.warm, l.load.lasting = 2*time.Second, s.lasting
		if full, err = b.run(ctx, l.load); err != nil {
			return full, err
		}
		where := fmt.Sprintf("cores %d, hubs 1, Postgres, Cassandra and Redis, %s", cores, l.where)
		r.atLeast(fmt.Sprintf("%s: acknowledged, %d under way", where, l.load.flight), 0, full.rate(), full.told())
		r.zero(where+": calls that failed", full.failed)
		for _, e := range full.errors {
			r.note("failed: %s", e)
		}
	}
	return full, nil
}
