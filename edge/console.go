package edge

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/starling-chat/starling/proto"
)

const (
	consolePrefix  = "/admin/v1/"
	consoleTimeout = 10 * time.Second
	consoleLimit   = 1000
)

// Sessions answers GET sessions of the console.
type Sessions struct {
	Edge     string        `json:"edge"`
	Total    int           `json:"total"` // those of other pages included
	Sessions []SessionInfo `json:"sessions"`
	Next     *string       `json:"next"` // the after of the next page; null: there is none
}

// Console serves pages of JSON for operators below /admin/v1/: GET edge, GET and POST drain, GET sessions, POST sessions/{id}/close. It judges nobody: whoever reaches it
// is an operator. No page holds what would let anybody resume a session.
func (s *Server) Console() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+consolePrefix+"edge", s.standing)
	mux.HandleFunc("GET "+consolePrefix+"drain", s.tellDrain)
	mux.HandleFunc("POST "+consolePrefix+"drain", s.orderDrain)
	mux.HandleFunc("GET "+consolePrefix+"sessions", s.listSessions)
	mux.HandleFunc("POST "+consolePrefix+"sessions/{id}/close", s.shutSession)
	return mux
}

func (s *Server) listSessions(w http.ResponseWriter, r *http.Request) {
	q, err := sessionQuery(r)
	if err != nil {
		answerJSON(w, http.StatusBadRequest, failure{err.Error()})
		return
	}
	if !s.started() {
		answerJSON(w, http.StatusServiceUnavailable, failure{errNotServing.Error()})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), consoleTimeout)
	defer cancel()
	limit := q.Limit
	if !q.ByQueued {
		q.Limit++
	}
	page, total, err := s.loop.sessionsFor(ctx, q)
	if err != nil {
		answerJSON(w, http.StatusServiceUnavailable, failure{err.Error()})
		return
	}
	answer := Sessions{Edge: s.cfg.Name, Total: total, Sessions: page}
	if len(page) > limit {
		answer.Sessions, answer.Next = page[:limit], &page[limit-1].ID
	}
	answerJSON(w, http.StatusOK, answer)
}

func sessionQuery(r *http.Request) (q SessionQuery, err error) {
	q = SessionQuery{Limit: 100, After: r.FormValue("after")}
	if s := r.FormValue("limit"); s != "" {
		if q.Limit, err = strconv.Atoi(s); err != nil || q.Limit < 1 || q.Limit > consoleLimit {
			return q, errors.New("limit: want 1 to " + strconv.Itoa(consoleLimit))
		}
	}
	if s := r.FormValue("user"); s != "" {
		if q.User, err = proto.ParseID(s); err != nil {
			return q, err
		}
	}
	switch r.FormValue("order") {
	case "", "id":
	case "queued":
		q.ByQueued = true
	default:
		return q, errors.New("order: want id or queued")
	}
	return q, nil
}

func (s *Server) shutSession(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if len(id) < shownID {
		answerJSON(w, http.StatusBadRequest, failure{"session: want the " + strconv.Itoa(shownID) + " characters that the list shows"})
		return
	}
	if !s.started() {
		answerJSON(w, http.StatusServiceUnavailable, failure{errNotServing.Error()})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), consoleTimeout)
	defer cancel()
	switch err := s.loop.closeShown(ctx, id); {
	case errors.Is(err, errNoSession):
		answerJSON(w, http.StatusNotFound, failure{"there is no session " + strconv.QuoteToASCII(shown(id))})
	case errors.Is(err, errAmbiguous):
		answerJSON(w, http.StatusConflict, failure{err.Error()})
	case err != nil:
		answerJSON(w, http.StatusServiceUnavailable, failure{err.Error()})
	default:
		s.cfg.Log.Info("session closed by an operator", "session", shown(id))
		answerJSON(w, http.StatusOK, struct{}{})
	}
}

// started tells whether Run has made the loop.
func (s *Server) started() bool {
	select {
	case <-s.begun:
		return true
	default:
		return false
	}
}

// failure is the JSON of an answer from 400 up.
type failure struct {
	Error string `json:"error"`
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error":"the answer has no JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(text, '\n')) // who went away needs no answer
}
