package admin_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/starling-chat/starling/cmd/starling/internal/admin"
)

func TestBrowsersSentByOthersAreKeptOut(t *testing.T) {
	done := 0
	h := admin.Handler(admin.Probes{Role: "edge", Name: "edge-1", Pages: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { done++ })})
	for _, c := range []struct {
		method, path, host, header string
		status                     int
	}{
		{"GET", "/admin/v1/sessions", "127.0.0.1:9090", "", 200},
		{"GET", "/admin/v1/sessions", "localhost:9090", "", 200},
		{"GET", "/admin/v1/sessions", "localhost", "", 200},
		{"GET", "/admin/v1/sessions", "[::1]:9090", "", 200},
		{"GET", "/admin/v1/sessions", "[::1]", "", 200},
		{"POST", "/admin/v1/sessions/x/close", "127.0.0.1:9090", "X-Starling-Admin: 1", 200},
		{"GET", "/admin/v1/sessions", "127.0.0.1:9090", "Origin: http://127.0.0.1:9090", 200},
		{"GET", "/admin/v1/sessions", "127.0.0.1:9090", "Sec-Fetch-Site: none", 200},

		{"POST", "/admin/v1/sessions/x/close", "127.0.0.1:9090", "", 403},
		{"DELETE", "/admin/v1/sessions/x", "127.0.0.1:9090", "", 403},
		{"GET", "/admin/v1/sessions", "evil.example:9090", "", 403},
		{"GET", "/admin/v1/self", "evil.example", "", 403},
		{"GET", "/debug/pprof/heap", "127.0.0.1.evil.example:9090", "", 403},
		{"GET", "/admin/v1/sessions", "", "", 403},
		{"GET", "/admin/v1/sessions", "127.0.0.1:9090", "Origin: http://evil.example", 403},
		{"GET", "/admin/v1/sessions", "127.0.0.1:9090", "Origin: http://127.0.0.1:8080", 403},
		{"GET", "/admin/v1/sessions", "127.0.0.1:9090", "Origin: null", 403},
		{"GET", "/admin/v1/sessions", "127.0.0.1:9090", "Sec-Fetch-Site: cross-site", 403},
		{"GET", "/admin/v1/sessions", "127.0.0.1:9090", "Sec-Fetch-Site: same-site", 403},
		{"POST", "/admin/v1/tokens/revoke", "evil.example:9090", "X-Starling-Admin: 1", 403},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		r.Host = c.host
		if name, value, ok := strings.Cut(c.header, ": "); ok {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		before := done
		h.ServeHTTP(w, r)
		if w.Code != c.status || (done > before) != (c.status == 200) {
			t.Errorf("%s %s, Host %q, %s: got %d, want %d", c.method, c.path, c.host, c.header, w.Code, c.status)
		}
		if strings.Contains(w.Header().Get("Access-Control-Allow-Origin"), "*") {
			t.Errorf("%s: other origins may read it", c.path)
		}
	}
}
