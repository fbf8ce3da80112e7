package server

import (
	"encoding/json"
	"io"
	"net/http"

	"github.com/starling-chat/starling/core/console"
)

// believePath takes Believe by POST, on a core with test switches.
const believePath = console.Prefix + "test/believe"

// Believe has a core take buckets for its own whatever the records say, or, with Undo, no longer.
type Believe struct {
	Buckets []int `json:"buckets"`
	Undo    bool  `json:"undo"`
}

// believe answers one.
func (s *Server) believe(w http.ResponseWriter, r *http.Request) {
	var b Believe
	err := json.NewDecoder(io.LimitReader(r.Body, 64<<10)).Decode(&b)
	for _, n := range b.Buckets {
		if err == nil {
			err = s.claims.Load().Believe(r.Context(), n, !b.Undo)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusConflict)
		json.NewEncoder(w).Encode(console.Failure{Error: err.Error()}) // who went away needs no answer
		return
	}
	json.NewEncoder(w).Encode(b)
}
