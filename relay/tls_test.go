package relay_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

// A secure is a mesh whose roles know each other by certificates: a hub, a leaf, a core, edges.
type secure struct {
	authority *relaytest.Authority
	hub       *relay.Hub
	hubFiles  relay.TLSFiles
	leaf      *relay.Leaf
}

func startSecure(t testing.TB) *secure {
	t.Helper()
	s := &secure{authority: relaytest.NewAuthority(t)}
	s.hubFiles = s.authority.Issue(t, "hub", "hub-0", time.Hour)
	var err error
	s.hub, err = relay.StartHub(relay.HubConfig{Name: "hub-0", Region: "local", Dir: t.TempDir(), ClientAddr: "127.0.0.1:0",
		LeafAddr: "127.0.0.1:0", TLS: s.hubFiles})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.hub.Stop)
	s.leaf = s.startLeaf(t, s.authority, "leaf-0")
	relaytest.Until(t, "the leaf joins", s.leaf.Connected)
	return s
}

func (s *secure) startLeaf(t testing.TB, a *relaytest.Authority, name string) *relay.Leaf {
	t.Helper()
	l, err := relay.StartLeaf(relay.LeafConfig{Name: name, Region: "local", ClientAddr: "127.0.0.1:0", HubURLs: []string{s.hub.LeafURL()},
		TLS: a.Issue(t, "leaf", name, time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Stop)
	return l
}

func (s *secure) bus(t testing.TB, cfg relay.Config) *relay.Bus {
	t.Helper()
	role, url := "core", s.hub.ClientURL()
	if cfg.Edge {
		role, url = "edge", s.leaf.ClientURL()
	}
	cfg.URL, cfg.Region, cfg.TLS = url, "local", s.authority.Issue(t, role, cfg.Name, time.Hour)
	b, err := relay.Connect(soon(t), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// Alice writes, Bob reads behind a leaf: everything works over TLS as it does without.
func TestEntriesCrossMutualTLS(t *testing.T) {
	s := startSecure(t)
	log := openLog(t, s.bus(t, relay.Config{Name: "core-0"}))
	alice := takeOver(t, log, 7)
	for i := range 5 {
		mustAppend(t, alice, fmt.Sprint(i))
	}
	bob := listen(t, s.bus(t, relay.Config{Name: "edge-0", Edge: true}))
	bob.follows(t, 7)
	bob.hears(t, 7, 5) // from the log
	for i := range 50 {
		mustAppend(t, alice, fmt.Sprint(5+i))
	}
	bob.hears(t, 7, 55)
	relaytest.Until(t, "the hub beats", func() bool { return !bob.LastBeat().IsZero() })
}

// speak makes a TLS connection with a certificate, or none, and returns what the server says first.
func speak(t testing.TB, url string, files *relay.TLSFiles) (string, error) {
	t.Helper()
	cfg := &tls.Config{InsecureSkipVerify: true}
	if files != nil {
		pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: cfg}
	conn, err := d.Dial("tcp", hostOf(url))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	return bufio.NewReader(conn).ReadString('\n')
}

func hostOf(url string) string {
	_, host, _ := strings.Cut(url, "://")
	return host
}

// Whoever lacks the right certificate does not even hear which server this is.
func TestHandshakeRefused(t *testing.T) {
	s := startSecure(t)
	foreign := relaytest.NewAuthority(t)
	issue := func(a *relaytest.Authority, role string, life time.Duration) *relay.TLSFiles {
		f := a.Issue(t, role, role+"-9", life)
		return &f
	}
	ports := []struct{ name, url, role, wrong string }{
		{"hub's port for cores", s.hub.ClientURL(), "core", "edge"},
		{"hub's port for leaves", s.hub.LeafURL(), "leaf", "edge"},
		{"leaf's port for edges", s.leaf.ClientURL(), "edge", "leaf"},
	}
	for _, p := range ports {
		if line, err := speak(t, p.url, issue(s.authority, p.role, time.Hour)); err != nil || !strings.HasPrefix(line, "INFO ") {
			t.Errorf("%s, right certificate: got %q, %v", p.name, line, err)
		}
		for why, files := range map[string]*relay.TLSFiles{
			"no certificate":            nil,
			"foreign authority":         issue(foreign, p.role, time.Hour),
			"expired":                   issue(s.authority, p.role, -time.Minute),
			"certificate of " + p.wrong: issue(s.authority, p.wrong, time.Hour),
			"certificate of nobody":     issue(s.authority, "gardener", time.Hour),
		} {
			line, err := speak(t, p.url, files)
			if err == nil || line != "" || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s, %s: got %q, %v, want a refusal", p.name, why, line, err)
			}
		}
		conn, err := net.Dial("tcp", hostOf(p.url))
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, "CONNECT {\"verbose\":false}\r\nPING\r\n")
		said, _ := io.ReadAll(conn)
		_ = conn.Close()
		if strings.Contains(string(said), "INFO") || strings.Contains(string(said), "PONG") {
			t.Errorf("%s, plain text: got %q", p.name, said)
		}
	}
}

// A leaf of another mesh keeps trying and stays outside; its edges hear nothing.
func TestForeignLeafStaysOutside(t *testing.T) {
	s := startSecure(t)
	mallory := s.startLeaf(t, relaytest.NewAuthority(t), "leaf-1")
	before := counted(t, "starling_relay_handshakes_refused_total")
	relaytest.Until(t, "both have refused each other", func() bool {
		return counted(t, "starling_relay_handshakes_refused_total") >= before+3
	})
	if mallory.Connected() || s.hub.Leaves() != 1 {
		t.Errorf("a foreign leaf is connected; the hub has %d leaves", s.hub.Leaves())
	}
}

// A certificate must be of the one who uses it.
func TestCertificateOfAnother(t *testing.T) {
	s := startSecure(t)
	files := s.authority.Issue(t, "edge", "edge-1", time.Hour)
	_, err := relay.Connect(soon(t), relay.Config{URL: s.leaf.ClientURL(), Region: "local", Name: "edge-2", Edge: true, TLS: files})
	if err == nil || !strings.Contains(err.Error(), "edge-1") {
		t.Errorf("got %v, want whose certificate it is", err)
	}
	_, err = relay.StartLeaf(relay.LeafConfig{Name: "edge-1", Region: "local", ClientAddr: "127.0.0.1:0", HubURLs: []string{s.hub.LeafURL()}, TLS: files})
	if err == nil {
		t.Error("a leaf runs on an edge's certificate")
	}
}

// The mesh moves to another authority while it runs: files are replaced, nothing is restarted.
func TestCertificatesAreReadAnew(t *testing.T) {
	s := startSecure(t)
	next := relaytest.NewAuthority(t)
	next.Renew(t, s.hubFiles, "hub", "hub-0", time.Hour)
	bob := s.startLeaf(t, next, "leaf-1")
	relaytest.Until(t, "a leaf of the new authority joins", bob.Connected)
	old := s.authority.Issue(t, "leaf", "leaf-2", time.Hour)
	if line, err := speak(t, s.hub.LeafURL(), &old); err == nil {
		t.Errorf("got %q with a certificate of the old authority", line)
	}
	if !s.leaf.Connected() {
		t.Error("a link that stood was cut")
	}
}

// Hubs know each other by certificates too.
func TestClusterOverMutualTLS(t *testing.T) {
	t.Parallel()
	a := relaytest.NewAuthority(t)
	c := relaytest.StartClusterTLS(t, a)
	log := openLog(t, c.TLSBus(t, a, "core-0"))
	mustAppend(t, takeOver(t, log, 3), "0")
	url := "tls://" + c.ClusterAddr(0)
	hub, leaf, foreign := a.Issue(t, "hub", "hub-9", time.Hour), a.Issue(t, "leaf", "leaf-0", time.Hour),
		relaytest.NewAuthority(t).Issue(t, "hub", "hub-9", time.Hour)
	if line, err := speak(t, url, &hub); err != nil || !strings.HasPrefix(line, "INFO ") {
		t.Errorf("hub: got %q, %v", line, err)
	}
	for who, files := range map[string]*relay.TLSFiles{"leaf": &leaf, "foreign hub": &foreign, "nobody": nil} {
		if line, err := speak(t, url, files); err == nil || line != "" {
			t.Errorf("%s: got %q, %v, want a refusal", who, line, err)
		}
	}
}
