package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	warmReads  = 500  // between two looks at the compiler
	warmRounds = 60   // at most
	warmShare  = 0.05 // of the server's CPU time: the compiler rests below
)

// warm reads until the just-in-time compiler of a server rests, and tells how many reads that took; without such a server reads are enough.
// A server that has run for a day has compiled long ago what it does all day.
func warm(ctx context.Context, jit, reads int, read func(n int) error) (total int, err error) {
	if jit == 0 {
		return reads, read(reads)
	}
	for range warmRounds {
		before, err := compilerCPU(jit)
		if err != nil {
			return total, err
		}
		if err := read(warmReads); err != nil {
			return total, err
		}
		total += warmReads
		after, err := compilerCPU(jit)
		if err != nil {
			return total, err
		}
		if after.compiler-before.compiler < time.Duration(warmShare*float64(after.all-before.all)) || ctx.Err() != nil {
			break
		}
	}
	return total, ctx.Err()
}

// A compilerTime is CPU time of the compiler's threads and of the whole process.
type compilerTime struct{ compiler, all time.Duration }

func compilerCPU(pid int) (c compilerTime, err error) {
	whole, err := usedCPU(pid)
	if err != nil {
		return c, err
	}
	c.all = whole.mesh
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return c, err
	}
	for _, name := range threads {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // a thread that ended
		}
		before, after, _ := strings.Cut(string(b), ") ")
		if strings.Contains(before, " CompilerThre") { // C1 and C2 of the JVM, cut by the kernel
			c.compiler += ticks(strings.Fields(after), 11, 12)
		}
	}
	return c, nil
}

// loadAverage of the last minute: what else ran.
func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	average, _, _ := strings.Cut(string(b), " ")
	return average
}
