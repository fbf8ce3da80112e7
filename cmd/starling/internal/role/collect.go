package role

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	heapRoom    = 128 << 20 // bytes
	collectLook = time.Second
	minPercent  = 100 // Go's own
)

// collectLate has the garbage collector run only after the process has allocated heapRoom since, or as much as it holds, whichever is more: by its
// own rule a role of 20 MB that is busy collects several times a second, and each time takes a processor from whoever waits for an answer. An
// operator who sets GOGC has the last word; GOMEMLIMIT holds in any case.
func collectLate(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	scanned := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}} // what GOGC is a share of
	look := time.NewTicker(collectLook)
	defer look.Stop()
	now := minPercent
	for {
		metrics.Read(scanned)
		var sum uint64
		for _, s := range scanned {
			sum += s.Value.Uint64()
		}
		if p := percent(sum); p > now+now/8 || p < now-now/8 {
			now = p
			debug.SetGCPercent(now)
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
}

// percent is the GOGC at which a process that holds so many bytes collects after heapRoom more.
func percent(held uint64) int { return max(minPercent, int(heapRoom*100/max(held, 1<<20))) }
