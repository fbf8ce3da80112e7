package devca_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"testing"
	"time"

	"github.com/starling-chat/starling/cmd/starling/internal/devca"
)

func TestClientThatTrustsTheCAReachesAnEdge(t *testing.T) {
	f, err := devca.Open(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(f.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		t.Fatal("the CA file holds no certificate")
	}
	for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
		client, server := net.Pipe()
		done := make(chan error, 1)
		go func() {
			done <- tls.Server(server, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13}).Handshake()
		}()
		if err := tls.Client(client, &tls.Config{RootCAs: roots, ServerName: name}).Handshake(); err != nil {
			t.Errorf("%s: %v", name, err)
			client.Close()
		}
		<-done
	}
}

func TestKeptAndRenewed(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	read := func(at time.Time) (ca, cert string) {
		t.Helper()
		f, err := devca.Open(dir, at)
		if err != nil {
			t.Fatal(err)
		}
		a, _ := os.ReadFile(f.CA)
		b, _ := os.ReadFile(f.Cert)
		if st, err := os.Stat(f.Key); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("key: got mode %v, %v, want 0600", st.Mode(), err)
		}
		return string(a), string(b)
	}
	ca1, cert1 := read(now)
	ca2, cert2 := read(now.Add(24 * time.Hour))
	if ca1 != ca2 || cert1 != cert2 {
		t.Error("a second start made new files, want the same")
	}
	ca3, cert3 := read(now.Add(380 * 24 * time.Hour))
	if ca3 != ca1 || cert3 == cert1 {
		t.Error("near its end: want a new certificate by the same CA")
	}
}

func TestRolesOfAMesh(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	issue := func(at time.Time) string {
		t.Helper()
		m, err := devca.OpenMesh(dir, at)
		if err != nil {
			t.Fatal(err)
		}
		f, err := m.Issue("edge", "edge-1")
		if err != nil {
			t.Fatal(err)
		}
		pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
		if err != nil {
			t.Fatal(err)
		}
		if err := pair.Leaf.VerifyHostname("edge-1.edge.starling"); err != nil {
			t.Error(err)
		}
		return pair.Leaf.SerialNumber.String()
	}
	first := issue(now)
	if again := issue(now.Add(time.Hour)); again != first {
		t.Error("a second start made a new certificate")
	}
	if late := issue(now.Add(380 * 24 * time.Hour)); late == first {
		t.Error("near its end: want a new certificate")
	}
}
