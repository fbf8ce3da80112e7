package proto

import "time"

// CodeSlowMode is the code of a 429 that a channel's slow mode causes.
const CodeSlowMode = 20016

// SlowMode says how long a user has to wait before the next message in a channel.
func SlowMode(left time.Duration) *Error {
	global := false
	return &Error{Status: 429, Code: CodeSlowMode, Message: "This action cannot be performed due to slowmode rate limit.",
		RetryAfter: max(float64((left+time.Millisecond-1)/time.Millisecond)/1000, 0.001), Global: &global}
}
