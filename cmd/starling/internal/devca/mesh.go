package devca

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"path/filepath"
	"time"

	"github.com/starling-chat/starling/relay"
)

// A Mesh gives the roles of one mesh the certificates by which they know each other.
type Mesh struct {
	dir string
	ca  tls.Certificate
	now time.Time
}

// OpenMesh makes or opens the authority in dir, which signs for nothing else.
func OpenMesh(dir string, now time.Time) (*Mesh, error) {
	ca, err := openCA(dir, "Starling development mesh CA", now)
	if err != nil {
		return nil, err
	}
	return &Mesh{dir: dir, ca: ca, now: now}, nil
}

// Issue gives the files of a role, making what is missing or runs out.
func (m *Mesh) Issue(role, name string) (relay.TLSFiles, error) {
	base := filepath.Join(m.dir, role+"-"+name)
	f := Files{CA: filepath.Join(m.dir, "ca.pem"), Cert: base + ".pem", Key: base + "-key.pem"}
	files := relay.TLSFiles{Cert: f.Cert, Key: f.Key, CA: f.CA}
	if usable(f, m.ca.Leaf, m.now) {
		return files, nil
	}
	t, err := template(name, m.now, leafLife)
	if err != nil {
		return files, fmt.Errorf("devca: %w", err)
	}
	t.KeyUsage = x509.KeyUsageDigitalSignature
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	t.DNSNames = []string{relay.MeshName(role, name)}
	if err := issue(f, m.ca, t); err != nil {
		return files, fmt.Errorf("devca: %s %s: %w", role, name, err)
	}
	return files, nil
}
