package role

import (
	"encoding/json"
	"net/http"
)

// page serves GET /admin/v1/<role>: what a role tells of itself, as JSON; 503 while it starts.
func page(name string, started <-chan struct{}, info func() any) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /admin/v1/"+name, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		select {
		case <-started:
			json.NewEncoder(w).Encode(info()) // who went away needs no answer
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
			json.NewEncoder(w).Encode(map[string]string{"error": name + ": " + errStarting.Error()})
		}
	})
	return mux
}
