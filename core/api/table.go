package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"
)

// Routes lists what the server answers, one "METHOD /pattern" each, sorted, as chi's own table has it: every alias is a route of its own.
func (s *Server) Routes() ([]string, error) {
	var list []string
	err := chi.Walk(s.handler.(chi.Routes), func(method, pattern string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		list = append(list, method+" "+strings.ReplaceAll(pattern, "/*/", "/"))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("routes: %w", err)
	}
	slices.Sort(list)
	return list, nil
}
