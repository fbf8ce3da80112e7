package relay

import (
	"crypto/rand"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
)

// The roles of a mesh, as certificates name them: <name>.<role>.starling among the DNS names. Host names play no part in it, so that a role
// may move between machines.
const (
	roleHub  = "hub"
	roleLeaf = "leaf"
	roleCore = "core"
	roleEdge = "edge"

	domain = "starling"
)

// An identity is who somebody on the other side of a connection is.
type identity struct{ role, name string }

// MeshName is the DNS name by which the mesh knows a role's certificate.
func MeshName(role, name string) string { return name + "." + role + "." + domain }

// identify reads an identity from a certificate that has been verified.
func identify(cert *x509.Certificate) (identity, error) {
	for _, dns := range cert.DNSNames {
		rest, ok := strings.CutSuffix(dns, "."+domain)
		if !ok {
			continue
		}
		at := strings.LastIndexByte(rest, '.')
		if at <= 0 {
			continue
		}
		id := identity{role: rest[at+1:], name: rest[:at]}
		switch id.role {
		case roleHub, roleLeaf, roleCore, roleEdge:
			return id, checkName(id.name)
		}
	}
	return identity{}, fmt.Errorf("certificate of %q is of no role: want a DNS name like %s", cert.Subject.CommonName, MeshName(roleEdge, "name"))
}

// CheckName reports a name that no role of the mesh may have: letters, digits, hyphens, at most 63.
func CheckName(name string) error { return checkName(name) }

// checkName reports a name that cannot be one token of a subject.
func checkName(name string) error {
	if name == "" || len(name) > 63 {
		return fmt.Errorf("name %.80q: want 1 to 63 letters, digits, hyphens", name)
	}
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
			return fmt.Errorf("name %q: want letters, digits, hyphens", name)
		}
	}
	return nil
}

// A doorman admits connections to an embedded server and gives each the rights of its role. With TLS the certificate says who somebody is;
// without, which is for one machine, whoever knows the secret is who it says.
type doorman struct {
	region string
	tls    bool
	secret string
	client string // role that the client port is for
	own    string // password of the server's own connection, which comes without TLS
	server *server.Server
	cert   *credentials // nil in plain text

	ownName string // of the server's own connection, once it is made
	slow    int64  // consumers that measure has counted
}

func newDoorman(region, client, secret string, cert *credentials) *doorman {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return &doorman{region: region, client: client, secret: secret, tls: cert != nil, cert: cert, own: hex.EncodeToString(b[:])}
}

// Check implements server.Authentication for clients and leafnodes.
func (d *doorman) Check(c server.ClientAuthentication) bool {
	o := c.GetOpts()
	want := d.client
	switch c.Kind() {
	case server.LEAF:
		want = roleLeaf
	case server.CLIENT:
		if o.Username == userOwn && same(o.Password, d.own) {
			c.RegisterUser(&server.User{Username: userOwn, Account: d.server.GlobalAccount()})
			return true
		}
	default:
		return false
	}
	id := identity{role: o.Username, name: o.Name}
	if d.tls {
		state := c.GetTLSConnectionState()
		if state == nil || len(state.PeerCertificates) == 0 {
			return false
		}
		var err error
		if id, err = identify(state.PeerCertificates[0]); err != nil {
			return false
		}
	} else if d.secret != "" && !same(o.Password, d.secret) || id.role == roleEdge && checkName(id.name) != nil {
		return false
	}
	if id.role != want {
		return false
	}
	c.RegisterUser(&server.User{Username: id.role + " " + id.name, Account: d.server.GlobalAccount(), Permissions: permissions(id, d.region)})
	return true
}

// userOwn is the embedded server's own connection, over memory.
const userOwn = "own"

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
