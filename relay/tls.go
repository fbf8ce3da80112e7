package relay

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"
)

// TLSFiles name the certificate by which a role is known to the mesh, its key, and the authority that signs those of the mesh, all PEM. The
// authority should sign for nothing else. Files that change are read again within a second, for connections made from then on. The zero
// value is plain text, for one machine only.
type TLSFiles struct{ Cert, Key, CA string }

func (f TLSFiles) on() bool { return f != TLSFiles{} }

// filesEvery is how often files are looked at, when connections are made.
const filesEvery = time.Second

// credentials hold what TLSFiles name. Any goroutine may use them.
type credentials struct {
	files TLSFiles
	log   *slog.Logger

	mu     sync.Mutex
	looked time.Time
	stamps [3]stamp
	pair   *tls.Certificate
	roots  *x509.CertPool
}

// A stamp tells a file from what was in its place before.
type stamp struct {
	size int64
	time time.Time
}

// openCredentials reads the files; they must be whole and of the role.
func openCredentials(files TLSFiles, role, name string, log *slog.Logger) (*credentials, error) {
	c := &credentials{files: files, log: log}
	if err := c.read(); err != nil {
		return nil, fmt.Errorf("mesh certificate: %w", err)
	}
	id, err := identify(c.pair.Leaf)
	if err != nil {
		return nil, fmt.Errorf("mesh certificate: %s: %w", files.Cert, err)
	}
	if id != (identity{role, name}) {
		return nil, fmt.Errorf("mesh certificate: %s is of %s %s, not of %s %s", files.Cert, id.role, id.name, role, name)
	}
	return c, nil
}

// read must be called with the lock held, or before anybody else knows c.
func (c *credentials) read() error {
	var stamps [3]stamp
	for i, path := range []string{c.files.Cert, c.files.Key, c.files.CA} {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		stamps[i] = stamp{info.Size(), info.ModTime()}
	}
	c.looked = time.Now()
	if stamps == c.stamps {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.files.Cert, c.files.Key)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(c.files.CA)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return fmt.Errorf("%s: no certificate in it", c.files.CA)
	}
	if c.pair != nil {
		c.log.Info("mesh certificate read anew", "until", pair.Leaf.NotAfter)
	}
	c.pair, c.roots, c.stamps = &pair, roots, stamps
	certificateEnd.Set(float64(pair.Leaf.NotAfter.Unix()))
	return nil
}

// now is what the files hold; while they are broken, what they held before.
func (c *credentials) now() (*tls.Certificate, *x509.CertPool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) >= filesEvery {
		if err := c.read(); err != nil {
			c.looked = time.Now()
			c.log.Error("mesh certificate cannot be read anew", "err", err)
		}
	}
	return c.pair, c.roots
}

// config serves both sides of a connection whose other end must have one of the roles.
func (c *credentials) config(roles ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// Certificates are verified below, by both sides in the same way: the standard check knows host names instead of roles, and only
		// the authority of the first day.
		ClientAuth:             tls.RequireAnyClientCert,
		InsecureSkipVerify:     true,
		SessionTicketsDisabled: true,
		GetCertificate:         func(*tls.ClientHelloInfo) (*tls.Certificate, error) { pair, _ := c.now(); return pair, nil },
		GetClientCertificate:   func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { pair, _ := c.now(); return pair, nil },
		VerifyConnection: func(s tls.ConnectionState) error {
			_, roots := c.now()
			reason, err := verify(s.PeerCertificates, roots, roles)
			if err != nil {
				handshakesRefused.WithLabelValues(reason).Inc()
			}
			return err
		},
	}
}

// verify checks a chain, and that it is of one of the roles.
func verify(chain []*x509.Certificate, roots *x509.CertPool, roles []string) (reason string, err error) {
	if len(chain) == 0 {
		return "none", errors.New("no certificate")
	}
	between := x509.NewCertPool()
	for _, cert := range chain[1:] {
		between.AddCert(cert)
	}
	_, err = chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
		return "expired", err
	}
	if err != nil {
		return "authority", err
	}
	id, err := identify(chain[0])
	if err != nil {
		return "role", err
	}
	if !slices.Contains(roles, id.role) {
		return "role", fmt.Errorf("certificate is of %s %s, want a %v", id.role, id.name, roles)
	}
	return "", nil
}
