package api

import "net/http"

// gateway tells where the WebSocket is: at the edge that the call came through, or where that edge says that its clients should go.
func (s *Server) gateway(c *call) (reply, error) {
	return reply{http.StatusOK, map[string]string{"url": gatewayURL(c)}}, nil
}

type botGateway struct {
	URL    string       `json:"url"`
	Shards int          `json:"shards"`
	Limit  sessionLimit `json:"session_start_limit"`
}

type sessionLimit struct {
	Total          int   `json:"total"`
	Remaining      int   `json:"remaining"`
	ResetAfter     int64 `json:"reset_after"`     // milliseconds
	MaxConcurrency int   `json:"max_concurrency"` // identifies in 5 s: high, so that many shards start fast
}

func (s *Server) gatewayBot(c *call) (reply, error) {
	return reply{http.StatusOK, botGateway{URL: gatewayURL(c), Shards: 1, Limit: s.startsLeft(c.ctx(), c.who.User)}}, nil
}

func gatewayURL(c *call) string {
	if info, ok := c.Context().Value(callKey{}).(callInfo); ok && info.gatewayURL != "" {
		return info.gatewayURL
	}
	return "ws://" + c.Host + "/gateway" // served without an edge: tests
}
