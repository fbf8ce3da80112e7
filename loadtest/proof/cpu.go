package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cpu is CPU time so far: of the mesh, of this program, and of everything on the machine.
type cpu struct {
	at              time.Time
	mesh, own, busy time.Duration
}

// tick is the kernel's unit of CPU time in /proc (USER_HZ, 100 on every Linux).
const tick = 10 * time.Millisecond

func usedCPU(pid int) (c cpu, err error) {
	c.at = time.Now()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return c, err
	}
	_, after, _ := strings.Cut(string(b), ") ") // the name may hold blanks
	c.mesh = ticks(strings.Fields(after), 11, 12)
	if b, err = os.ReadFile("/proc/stat"); err != nil {
		return c, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	c.busy = ticks(strings.Fields(line), 1, 2, 3, 6, 7) // user, nice, system, irq, softirq
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return c, err
	}
	c.own = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	return c, nil
}

func ticks(fields []string, at ...int) (sum time.Duration) {
	for _, i := range at {
		if i < len(fields) {
			n, _ := strconv.ParseInt(fields[i], 10, 64)
			sum += time.Duration(n) * tick
		}
	}
	return sum
}

// since tells how many cores each took since c; what others took is the reason to repeat a run.
func (c cpu) since(past cpu) string {
	wall := c.at.Sub(past.at).Seconds()
	mesh, own := (c.mesh-past.mesh).Seconds()/wall, (c.own-past.own).Seconds()/wall
	return fmt.Sprintf("of %d cores the mesh used %.2f, this program %.2f, everything else %.2f", runtime.NumCPU(), mesh, own,
		max((c.busy-past.busy).Seconds()/wall-mesh-own, 0))
}
