package mesh

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// FreePorts finds n consecutive free ports for what stands beside a mesh.
func FreePorts(n int) (int, error) { return freePorts(n) }

// freePorts finds n consecutive free ports on loopback, below the range that the kernel hands out by itself: a mesh that is killed
// and started again must find its ports free.
func freePorts(n int) (int, error) {
	for range 200 {
		base := 11000 + rand.IntN(21000)
		if free(base, n) {
			return base, nil
		}
	}
	return 0, fmt.Errorf("no %d consecutive free ports", n)
}

func free(base, n int) bool {
	for p := base; p < base+n; p++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p))
		if err != nil {
			return false
		}
		l.Close()
	}
	return true
}
