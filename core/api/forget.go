package api

import "github.com/starling-chat/starling/proto"

// Forget makes a revocation that the API did not make itself count here at once: of a bot's token (0 = none), or of logins.
func (s *Server) Forget(bot proto.ID, logins ...proto.ID) {
	if bot != 0 {
		s.who.forgetBot(bot)
	}
	for _, l := range logins {
		s.who.forgetLogin(l)
	}
}
