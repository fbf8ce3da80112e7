package main

import (
	"net"
	"net/url"
	"os"

	"github.com/starling-chat/starling/cmd/starling/internal/config"
	"github.com/starling-chat/starling/cmd/starling/internal/role"
	"github.com/starling-chat/starling/relay"
)

// Keys by which the roles of a mesh know each other.
var (
	keyMeshCert = config.Key{Name: "mesh-cert", Default: "", Kind: "FILE",
		Usage: "PEM certificate of this role in the mesh, for the DNS name NAME.ROLE.starling; read again when it changes"}
	keyMeshKey = config.Key{Name: "mesh-key", Default: "", Kind: "FILE", Usage: "PEM key of the certificate"}
	keyMeshCA  = config.Key{Name: "mesh-ca", Default: "", Kind: "FILE",
		Usage: "PEM certificates of the authority that signs those of the mesh and nothing else"}
	keySecret = config.Key{Name: "secret-file", Default: "", Kind: "FILE",
		Usage: "instead of certificates, on loopback only: file with a secret that all roles of the mesh share"}
)

const whyNATS = "roles on several machines know each other by certificates: --mesh-cert, --mesh-key, --mesh-ca"

// onLoopback refuses other addresses in a list of them.
func onLoopback(v *config.Values, name, why string) {
	for _, addr := range v.List(name) {
		if u, err := url.Parse(addr); err == nil && u.Host != "" {
			addr = u.Host
		}
		if host, _, err := net.SplitHostPort(addr); err == nil && !loopback(host) {
			v.Wrong(name, "%q: want a loopback address such as 127.0.0.1: %s", addr, why)
		}
	}
}

// trust reads by what a role is known: its certificate, or else the secret. The keys named hold addresses, or URLs, that without certificates
// must be of this machine.
func trust(v *config.Values, addrs ...string) (files relay.TLSFiles, secret string) {
	if v.String("mesh-cert") != "" || v.String("mesh-key") != "" || v.String("mesh-ca") != "" {
		files = relay.TLSFiles{Cert: v.Need("mesh-cert"), Key: v.Need("mesh-key"), CA: v.Need("mesh-ca")}
		for name, path := range map[string]string{"mesh-cert": files.Cert, "mesh-key": files.Key, "mesh-ca": files.CA} {
			if path == "" {
				continue
			}
			if _, err := os.Stat(path); err != nil {
				v.Wrong(name, "%w", err)
			}
		}
		return files, ""
	}
	for _, name := range addrs {
		onLoopback(v, name, whyNATS)
	}
	path := v.Need("secret-file")
	if path == "" {
		return files, ""
	}
	secret, err := role.ReadSecret(path)
	if err != nil {
		v.Wrong("secret-file", "%w", err)
	}
	return files, secret
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
