package proto

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A CloseCode ends a WebSocket connection; its number tells the client what to do (Discord: Gateway Close Event Codes; RFC 6455 7.4).
type CloseCode uint16

// Close codes. What each library does with them is in the wire tests of loadtest.
const (
	CloseNormal          CloseCode = 1000
	CloseGoingAway       CloseCode = 1001
	CloseProtocol        CloseCode = 1002
	CloseAbnormal        CloseCode = 1006 // never sent: the connection broke
	CloseRestart         CloseCode = 1012 // this edge is draining or full: resume at once
	CloseUnknown         CloseCode = 4000 // something went wrong: resume
	CloseSlow            CloseCode = 4000 // more waited than the limit: resume
	CloseUnknownOpcode   CloseCode = 4001
	CloseDecode          CloseCode = 4002 // not JSON, too large, unknown encoding
	CloseNotIdentified   CloseCode = 4003
	CloseAuthFailed      CloseCode = 4004 // the token is bad: do not retry
	CloseIdentifiedTwice CloseCode = 4005
	CloseInvalidSeq      CloseCode = 4007
	CloseRateLimited     CloseCode = 4008
	CloseTimeout         CloseCode = 4009 // no heartbeat
	CloseInvalidShard    CloseCode = 4010
	CloseInvalidVersion  CloseCode = 4012
	CloseInvalidIntents  CloseCode = 4013
)

// Reason is the text of the close frame.
func (c CloseCode) Reason() string {
	switch c {
	case CloseRestart:
		return "Reconnect and resume."
	case CloseUnknown:
		return "Unknown error."
	case CloseUnknownOpcode:
		return "Unknown opcode."
	case CloseDecode:
		return "Error while decoding payload."
	case CloseNotIdentified:
		return "Not authenticated."
	case CloseAuthFailed:
		return "Authentication failed."
	case CloseIdentifiedTwice:
		return "Already authenticated."
	case CloseInvalidSeq:
		return "Invalid seq."
	case CloseRateLimited:
		return "Rate limited."
	case CloseTimeout:
		return "Session timed out."
	case CloseInvalidShard:
		return "Invalid shard."
	case CloseInvalidVersion:
		return "Invalid API version."
	case CloseInvalidIntents:
		return "Invalid intent(s)."
	}
	return ""
}

// retryAfter stands before the seconds in the text of a close frame, by the name that Discord gives them in an answer 429.
const retryAfter = " retry_after="

// ReasonAfter is the text of a close frame that also says after how long to come again. Libraries of others overlook it; our clients obey.
func (c CloseCode) ReasonAfter(d time.Duration) string {
	return fmt.Sprintf("%s%s%.3f", c.Reason(), retryAfter, d.Seconds())
}

// RetryAfter is what ReasonAfter put into a text; 0 if it says nothing, or nonsense.
func RetryAfter(reason string) time.Duration {
	_, seconds, ok := strings.Cut(reason, retryAfter)
	if !ok {
		return 0
	}
	n, err := strconv.ParseFloat(seconds, 64)
	if err != nil || !(n > 0 && n < 3600) {
		return 0
	}
	return time.Duration(n * float64(time.Second))
}

func (c CloseCode) String() string { return fmt.Sprintf("close %d", uint16(c)) }
