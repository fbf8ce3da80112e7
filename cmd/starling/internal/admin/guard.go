package admin

import (
	"net"
	"net/http"
	"net/url"
)

// Header has to be in every request that changes something: no page of a browser can send it to another origin without asking first, and
// here nobody is asked.
const Header = "X-Starling-Admin"

// guard keeps browsers out that were sent here by somebody else's page. A name that leads to loopback (DNS rebinding) is no name of ours,
// another origin is refused, and what changes something has to carry Header.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if why := suspicious(r); why != "" {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			w.Write([]byte(`{"error":"` + why + `"}` + "\n")) // who went away needs no answer
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

func suspicious(r *http.Request) string {
	if !loopback(r.Host) {
		return "admin: the Host is not a loopback address or localhost"
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		if u, err := url.Parse(origin); err != nil || u.Scheme != "http" || u.Host != r.Host {
			return "admin: requests of other origins are refused"
		}
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
	default:
		return "admin: requests of other sites are refused"
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Header.Get(Header) == "" {
		return "admin: what changes something needs the header " + Header + ": 1"
	}
	return ""
}

// loopback tells whether a Host, with or without a port, can only be this machine.
func loopback(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	} else if n := len(host); n > 1 && host[0] == '[' && host[n-1] == ']' {
		name = host[1 : n-1]
	}
	ip := net.ParseIP(name)
	return name == "localhost" || ip != nil && ip.IsLoopback()
}
