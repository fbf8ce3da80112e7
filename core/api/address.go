package api

import (
	"time"

	"github.com/starling-chat/starling/core"
)

// Limits of an address before anybody has looked at the token. They are generous, since whole offices share one: the first bounds what one
// address can cost, the second how many tokens it can try (Discord: Invalid Request Limit).
var (
	limitAddress = core.Limit{Burst: 12000, Per: time.Minute}
	limitInvalid = core.Limit{Burst: 10000, Per: 10 * time.Minute} // answers 401
)

// takeAddress counts a call against its address, and refuses one whose address has had too many 401.
func (s *Server) takeAddress(c *call) error {
	address := remoteKey(c.RemoteAddr)
	if v, err := s.limiter.Peek(c.ctx(), "invalid//"+address, limitInvalid); err == nil && !v.Allowed && !c.repeat {
		return s.refuse(c, "invalid", limitInvalid, v)
	}
	v, err := s.limiter.Take(c.ctx(), "address//"+address, limitAddress)
	if err != nil || v.Allowed || c.repeat {
		return nil // an error shows at take
	}
	return s.refuse(c, "address", limitAddress, v)
}

// countInvalid counts an answer 401 against its address.
func (s *Server) countInvalid(c *call) {
	s.limiter.Take(c.ctx(), "invalid//"+remoteKey(c.RemoteAddr), limitInvalid) // refused is as good as counted; an error shows at take
}
