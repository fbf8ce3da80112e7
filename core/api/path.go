package api

import (
	"net/http"
	"strings"
)

// plainAt reads %40me as @me: a client that escapes its ids escapes this one too.
func plainAt(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.RawPath, "%40") {
			r.URL.RawPath = strings.ReplaceAll(r.URL.RawPath, "%40", "@") // what else is escaped stays so
		}
		next.ServeHTTP(w, r)
	})
}
