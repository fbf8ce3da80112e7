package edge

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

// Files of a development CA. Import ca.pem to trust it.
const (
	caCert   = "ca.pem"
	caKey    = "ca-key.pem"
	leafCert = "leaf.pem"
	leafKey  = "leaf-key.pem"
)

// DevCA returns a certificate for localhost, 127.0.0.1 and ::1 from a certification authority of its own in dir. Both are made on first use
// and kept; a leaf that ends within a week is replaced. For development alone.
func DevCA(dir string) (*tls.Certificate, error) {
	cert, err := devCA(dir)
	if err != nil {
		return nil, fmt.Errorf("development CA in %s: %w", dir, err)
	}
	return cert, nil
}

func devCA(dir string) (*tls.Certificate, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	ca, err := tls.LoadX509KeyPair(at(caCert), at(caKey))
	if errors.Is(err, fs.ErrNotExist) {
		os.Remove(at(leafCert)) // signed by a CA that is gone
		ca, err = issue(at(caCert), at(caKey), nil)
	}
	if err != nil {
		return nil, err
	}
	leaf, err := tls.LoadX509KeyPair(at(leafCert), at(leafKey))
	if errors.Is(err, fs.ErrNotExist) || err == nil && time.Until(leaf.Leaf.NotAfter) < 7*24*time.Hour {
		leaf, err = issue(at(leafCert), at(leafKey), &ca)
	}
	return &leaf, err
}

// issue makes a key and a certificate signed by ca, or by itself if ca is nil, and keeps both.
func issue(certFile, keyFile string, ca *tls.Certificate) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return tls.Certificate{}, err
	}
	t := &x509.Certificate{SerialNumber: serial, NotBefore: time.Now().Add(-time.Hour), BasicConstraintsValid: true}
	parent, signer := t, any(key)
	if ca == nil {
		t.Subject = pkix.Name{CommonName: "Starling development CA"}
		t.NotAfter = time.Now().AddDate(10, 0, 0)
		t.IsCA, t.MaxPathLenZero, t.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	} else {
		t.Subject = pkix.Name{CommonName: "localhost"}
		t.NotAfter = time.Now().AddDate(1, 0, 0)
		t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		t.DNSNames, t.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
		parent, signer = ca.Leaf, ca.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, &key.PublicKey, signer)
	if err != nil {
		return tls.Certificate{}, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return tls.Certificate{}, err
	}
	// The key first: a certificate without its key would look finished.
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	if err := os.WriteFile(keyFile, keyPEM, 0o600); err != nil {
		return tls.Certificate{}, err
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(certFile, certPEM, 0o644); err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(certPEM, keyPEM)
}
