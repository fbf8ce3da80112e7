package proto

import "encoding/json"

// An Opcode is the op of a gateway frame (Discord: Gateway Opcodes).
type Opcode int

// Gateway opcodes.
const (
	OpDispatch       Opcode = 0
	OpHeartbeat      Opcode = 1
	OpIdentify       Opcode = 2
	OpPresence       Opcode = 3
	OpVoiceState     Opcode = 4
	OpResume         Opcode = 6
	OpReconnect      Opcode = 7
	OpRequestMembers Opcode = 8
	OpInvalidSession Opcode = 9
	OpHello          Opcode = 10
	OpHeartbeatAck   Opcode = 11
)

// MaxFrame is the size limit of what a client sends, in bytes, before and after inflating; beyond it close 4002.
const MaxFrame = 4096

// A Frame is what travels on the gateway, either way: {"op","d","s","t"}.
type Frame struct {
	Op Opcode          `json:"op"`
	D  json.RawMessage `json:"d"`
	S  *int64          `json:"s"`
	T  *string         `json:"t"`
}

// Hello is the d of op 10. HeartbeatInterval is in milliseconds.
type Hello struct {
	HeartbeatInterval int64    `json:"heartbeat_interval"`
	Trace             []string `json:"_trace"`
}

// Identify is the d of op 2, as far as the server reads it.
type Identify struct {
	Token          string          `json:"token"`
	Intents        *int64          `json:"intents"` // absent: all
	Shard          *[2]int         `json:"shard"`   // absent: [0,1]
	Compress       bool            `json:"compress"`
	LargeThreshold int             `json:"large_threshold"`
	Presence       json.RawMessage `json:"presence"`   // of no certain form
	Properties     json.RawMessage `json:"properties"` // likewise
}

// Resume is the d of op 6.
type Resume struct {
	Token     string `json:"token"`
	SessionID string `json:"session_id"`
	Seq       int64  `json:"seq"`
}

// Ready is the d of READY.
type Ready struct {
	V                int               `json:"v"`
	User             SelfUser          `json:"user"`
	Guilds           []GuildStub       `json:"guilds"`
	PrivateChannels  []json.RawMessage `json:"private_channels"` // JSON of DirectChannel
	SessionID        string            `json:"session_id"`
	ResumeGatewayURL string            `json:"resume_gateway_url"`
	Shard            [2]int            `json:"shard"`
	Application      Application       `json:"application"`
	Trace            []string          `json:"_trace"`
}

// Application as READY names it.
type Application struct {
	ID    ID  `json:"id"`
	Flags int `json:"flags"`
}

// RequestMembers is the d of op 8.
type RequestMembers struct {
	GuildID   ID              `json:"guild_id"`
	Query     *string         `json:"query"`
	Limit     int             `json:"limit"`
	UserIDs   json.RawMessage `json:"user_ids"` // one id or a list, strings or numbers
	Presences bool            `json:"presences"`
	Nonce     *string         `json:"nonce"`
}

// GuildMembersChunk is the d of GUILD_MEMBERS_CHUNK.
type GuildMembersChunk struct {
	GuildID    ID         `json:"guild_id"`
	Members    []Member   `json:"members"`
	ChunkIndex int        `json:"chunk_index"`
	ChunkCount int        `json:"chunk_count"`
	NotFound   []ID       `json:"not_found"`
	Presences  []Presence `json:"presences,omitzero"` // nil unless asked for
	Nonce      *string    `json:"nonce,omitempty"`
}
