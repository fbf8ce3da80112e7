package redis

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/deploy/servers"
	"github.com/starling-chat/starling/proto"
)

// BenchmarkRefresh refreshes users in batches of an edge's size, and says what one costs this process and Redis. 100,000 a minute at 30 µs would
// be 5 % of a core.
func BenchmarkRefresh(b *testing.B) {
	address := servers.Address(b, "redis")
	s, err := Open(b.Context(), address+"?read_timeout=10s&db=9", nil)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	const batch = 500
	reports := make([][]core.PresenceReport, 100)
	for i := range reports {
		for j := range batch {
			reports[i] = append(reports[i], core.PresenceReport{Refresh: true, Presence: core.Presence{User: proto.ID(i*batch + j + 1), Status: "online",
				LastActive: time.Now(), Activities: []byte(`[{"name":"chess","type":0}]`), Devices: map[string]proto.Status{"desktop": "online"}}})
		}
		if _, err := s.Presences().Report(b.Context(), fmt.Sprint("e", i%20), reports[i], time.Now()); err != nil {
			b.Fatal(err)
		}
	}
	info := s.client.Info(b.Context(), "server").Val()
	_, pid, _ := strings.Cut(info, "process_id:")
	pid, _, _ = strings.Cut(pid, "\r")
	server := processCPU(b, pid)
	own := ownCPU(b)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		i := n % len(reports)
		if c, err := s.Presences().Report(b.Context(), fmt.Sprint("e", i%20), reports[i], time.Now()); err != nil || len(c) > 0 {
			b.Fatal(len(c), err)
		}
		n++
	}
	users := float64(n * batch)
	b.ReportMetric(float64((ownCPU(b)-own).Nanoseconds())/users/1000, "µs-core/user")
	b.ReportMetric(float64((processCPU(b, pid)-server).Nanoseconds())/users/1000, "µs-redis/user")
}

func ownCPU(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// processCPU is the time of a process on Linux, in steps of 10 ms; 0 elsewhere.
func processCPU(b *testing.B, pid string) time.Duration {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		b.Log(err)
		return 0
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	ticks := 0
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
