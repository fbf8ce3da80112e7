package proto

import "encoding/json"

// A Status is how available a user looks (Discord: Presence Update status).
type Status string

const (
	StatusOnline    Status = "online"
	StatusIdle      Status = "idle"
	StatusDND       Status = "dnd"
	StatusInvisible Status = "invisible" // told to nobody: others see offline
	StatusOffline   Status = "offline"
)

// A Presence is the payload of PRESENCE_UPDATE, and an element of presences in GUILD_CREATE (there without guild_id) and chunks.
type Presence struct {
	User         PresenceUser      `json:"user"`
	GuildID      ID                `json:"guild_id,omitzero"`
	Status       Status            `json:"status"` // never invisible
	Activities   json.RawMessage   `json:"activities"`
	ClientStatus map[string]Status `json:"client_status"` // desktop, mobile, web → status; offline ones left out
}

// An Activity is what a session says its user does, as far as others are shown it.
type Activity struct {
	Name      string  `json:"name"`
	Type      int     `json:"type"` // 0 playing, 1 streaming, 2 listening, 3 watching, 4 custom, 5 competing
	State     *string `json:"state,omitempty"`
	URL       *string `json:"url,omitempty"` // of streaming
	CreatedAt int64   `json:"created_at"`    // Unix milliseconds
}

// A PresenceUser has nothing but an id.
type PresenceUser struct {
	ID ID `json:"id"`
}
