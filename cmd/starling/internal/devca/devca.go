// Package devca keeps certificate authorities for development, made on first start and kept in a folder: one that signs the certificate
// that edges show to clients, on loopback names, and one that signs what the roles of the mesh know each other by. It is for one machine only;
// production gives edges certificates of a real authority (--tls-cert, --tls-key) and every role one of its own (--mesh-cert, --mesh-key,
// --mesh-ca).
package devca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	caLife    = 10 * 365 * 24 * time.Hour
	leafLife  = 397 * 24 * time.Hour // the most that browsers accept
	leafRenew = 30 * 24 * time.Hour  // made anew when less is left
	backdate  = time.Hour            // for clocks that lag
)

// Files are the paths of what Open keeps.
type Files struct {
	CA   string // what clients are to trust
	Cert string // the edges' certificate, followed by the CA's
	Key  string
}

// Open makes what is missing or runs out in dir and gives the paths. The CA is never replaced: people have told browsers to trust it.
func Open(dir string, now time.Time) (Files, error) {
	f := Files{CA: filepath.Join(dir, "ca.pem"), Cert: filepath.Join(dir, "edge.pem"), Key: filepath.Join(dir, "edge-key.pem")}
	ca, err := openCA(dir, "Starling development CA", now)
	if err != nil {
		return f, err
	}
	if usable(f, ca.Leaf, now) {
		return f, nil
	}
	if err := makeLeaf(f, ca, now); err != nil {
		return f, fmt.Errorf("devca: %w", err)
	}
	return f, nil
}

// openCA makes the authority of a folder where there is none.
func openCA(dir, name string, now time.Time) (tls.Certificate, error) {
	cert, key := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca-key.pem")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return tls.Certificate{}, fmt.Errorf("devca: %w", err)
	}
	_, err := os.Stat(cert)
	if errors.Is(err, fs.ErrNotExist) {
		err = makeCA(cert, key, name, now)
	}
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("devca: %w", err)
	}
	ca, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return ca, fmt.Errorf("devca: %s: %w; remove the folder to have a new one", dir, err)
	}
	return ca, nil
}

func usable(f Files, ca *x509.Certificate, now time.Time) bool {
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	return err == nil && pair.Leaf.CheckSignatureFrom(ca) == nil && pair.Leaf.NotAfter.Sub(now) > leafRenew
}

func makeCA(certPath, keyPath, name string, now time.Time) error {
	t, err := template(name, now, caLife)
	if err != nil {
		return err
	}
	t.IsCA, t.BasicConstraintsValid, t.MaxPathLenZero = true, true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return err
	}
	if err := writeKey(keyPath, key); err != nil {
		return err
	}
	return writePEM(certPath, 0o644, "CERTIFICATE", der) // last: its presence says that the key is there
}

func makeLeaf(f Files, ca tls.Certificate, now time.Time) error {
	t, err := template("localhost", now, leafLife)
	if err != nil {
		return err
	}
	t.KeyUsage = x509.KeyUsageDigitalSignature
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	t.DNSNames = []string{"localhost"}
	t.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	return issue(f, ca, t)
}

// issue signs a certificate for a new key.
func issue(f Files, ca tls.Certificate, t *x509.Certificate) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificate(rand.Reader, t, ca.Leaf, &key.PublicKey, ca.PrivateKey)
	if err != nil {
		return err
	}
	if err := writeKey(f.Key, key); err != nil {
		return err
	}
	return writePEM(f.Cert, 0o644, "CERTIFICATE", der, ca.Certificate[0])
}

func template(name string, now time.Time, life time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name, Organization: []string{"Starling development"}},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(life)}, nil
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(path, 0o600, "PRIVATE KEY", der)
}

// writePEM replaces path in one step, so that a kill leaves the old file or the new one.
func writePEM(path string, mode os.FileMode, kind string, ders ...[]byte) error {
	var text []byte
	for _, der := range ders {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
	}
	if err := os.WriteFile(path+".new", text, mode); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
