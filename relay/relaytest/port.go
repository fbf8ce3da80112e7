package relaytest

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
)

// Ports that hubs keep over restarts lie below those of outgoing connections, one of which would take a stopped hub's sooner or later: a
// client that dials a port of its own range again and again may even reach itself.
const (
	lowPort  = 10000
	highPort = 20000
)

var given = struct {
	sync.Mutex
	ports map[int]bool
}{ports: map[int]bool{}}

// freeAddr is a loopback address that nobody uses now, and that this process gives to nobody else.
func freeAddr(t testing.TB) string {
	t.Helper()
	given.Lock()
	defer given.Unlock()
	for range 1000 {
		port := lowPort + rand.IntN(highPort-lowPort)
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if given.ports[port] {
			continue
		}
		if ln, err := net.Listen("tcp", addr); err == nil {
			_ = ln.Close()
			given.ports[port] = true
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}
