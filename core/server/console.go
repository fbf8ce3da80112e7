package server

import (
	"encoding/json"
	"net/http"

	"github.com/starling-chat/starling/core/console"
)

// Console serves the pages of operators, below console.Prefix. It judges nobody: whoever reaches it is one.
func (s *Server) Console() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c := s.console.Load(); c != nil {
			if s.cfg.TestSwitches && r.Method == http.MethodPost && r.URL.Path == believePath {
				s.believe(w, r)
				return
			}
			c.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusServiceUnavailable)
		json.NewEncoder(w).Encode(console.Failure{Error: "core: not ready"}) // who went away needs no answer
	})
}
