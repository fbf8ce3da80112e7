package shape

import (
	"maps"
	"net/http"
	"slices"
)

// Events names all gateway events that Frame knows, sorted.
func Events() []string { return slices.Sorted(maps.Keys(events)) }

// Limits checks the headers of a limited route's answer.
func Limits(h http.Header) []string { return limitHeaders(h) }
