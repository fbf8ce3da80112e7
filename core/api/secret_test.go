package api_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

// TestNoPasswordInLog reads along what an edge can hear while people register and log in: password hashes are not part of it.
func TestNoPasswordInLog(t *testing.T) {
	m := startMesh(t, false)
	var mu sync.Mutex
	var heard []byte
	all := strings.TrimSuffix(relay.LiveSubject(relaytest.Region, 0), "0") + "*"
	stop, err := m.edge.Subscribe(all, func(_ string, body []byte) {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, body...)
	})
	must(t, err)
	defer stop()
	relaytest.Until(t, "the births are heard", func() bool {
		name := "wren" + strings.ToLower(proto.MakeID(time.Now(), 1, 1).String())
		m.register(name)
		m.want(m.call("", "POST", "/auth/login", map[string]string{"login": name, "password": name + " password"}), 200)
		mu.Lock()
		defer mu.Unlock()
		return bytes.Contains(heard, []byte(`"username":"wren`))
	})
	mu.Lock()
	defer mu.Unlock()
	if bytes.Contains(heard, []byte("argon2id")) {
		t.Error("the log holds a password hash")
	}
}
