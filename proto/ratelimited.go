package proto

// EventRateLimited answers a gateway request that came too soon (Discord: Rate Limited).
const EventRateLimited = "RATE_LIMITED"

// RateLimited is the d of RATE_LIMITED. RetryAfter is in seconds.
type RateLimited struct {
	Opcode     Opcode          `json:"opcode"`
	RetryAfter float64         `json:"retry_after"`
	Meta       RateLimitedMeta `json:"meta"`
}

// RateLimitedMeta names the request of op 8 that was refused.
type RateLimitedMeta struct {
	GuildID ID      `json:"guild_id"`
	Nonce   *string `json:"nonce,omitempty"`
}
