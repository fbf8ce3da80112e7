package loadtest

import (
	"crypto/tls"
	"crypto/x509"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/starling-chat/starling/loadtest/mesh"
)

// devTLS trusts the development CA that the mesh made on its first start: whatever certificate of a CA lies in its data.
func devTLS(t *testing.T, m *mesh.Mesh) *tls.Config {
	t.Helper()
	pool, found := x509.NewCertPool(), false
	must(t, filepath.WalkDir(m.DataDir(), func(path string, d fs.DirEntry, err error) error {
		if ext := filepath.Ext(path); err != nil || d.IsDir() || ext != ".pem" && ext != ".crt" {
			return err
		}
		b, err := os.ReadFile(path)
		if err == nil && pool.AppendCertsFromPEM(b) {
			found = true
		}
		return err
	}))
	if !found {
		t.Fatalf("no certificate under %s", m.DataDir())
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}
}
