package edge

import (
	"net/http"
	"slices"

	"github.com/starling-chat/starling/edge/transport"
)

// cors lets web pages call the API: tokens travel in Authorization, never in cookies, so any origin may be answered unless a list says which.
func (f *rest) cors(h http.Header, r *http.Request) {
	origin := r.Header.Get("Origin")
	if origin == "" || !transport.AllowedOrigin(f.cfg.Origins, origin) {
		return
	}
	if len(f.cfg.Origins) == 0 || slices.Contains(f.cfg.Origins, "*") {
		h.Set("Access-Control-Allow-Origin", "*")
	} else {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Add("Vary", "Origin")
	}
	if r.Method == http.MethodOptions {
		h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Audit-Log-Reason")
		h.Set("Access-Control-Max-Age", "7200")
		return
	}
	h.Set("Access-Control-Expose-Headers", "Retry-After, X-RateLimit-Bucket, X-RateLimit-Global, X-RateLimit-Limit, X-RateLimit-Remaining, "+
		"X-RateLimit-Reset, X-RateLimit-Reset-After, X-RateLimit-Scope")
}
