package proto

// A Guild as REST gives it (without Channels and Members) and as snapshots carry it (with them).
type Guild struct {
	ID                          ID        `json:"id"`
	Name                        string    `json:"name"`
	OwnerID                     ID        `json:"owner_id"`
	Icon                        *string   `json:"icon"`
	Splash                      *string   `json:"splash"`
	DiscoverySplash             *string   `json:"discovery_splash"`
	Banner                      *string   `json:"banner"`
	Description                 *string   `json:"description"`
	AFKChannelID                *ID       `json:"afk_channel_id"`
	AFKTimeout                  int       `json:"afk_timeout"`
	VerificationLevel           int       `json:"verification_level"`
	DefaultMessageNotifications int       `json:"default_message_notifications"`
	ExplicitContentFilter       int       `json:"explicit_content_filter"`
	MFALevel                    int       `json:"mfa_level"`
	NSFWLevel                   int       `json:"nsfw_level"`
	PremiumTier                 int       `json:"premium_tier"`
	PremiumSubscriptionCount    int       `json:"premium_subscription_count"`
	PreferredLocale             string    `json:"preferred_locale"`
	PremiumProgressBarEnabled   bool      `json:"premium_progress_bar_enabled"`
	SystemChannelID             *ID       `json:"system_channel_id"`
	SystemChannelFlags          int       `json:"system_channel_flags"`
	RulesChannelID              *ID       `json:"rules_channel_id"`
	PublicUpdatesChannelID      *ID       `json:"public_updates_channel_id"`
	VanityURLCode               *string   `json:"vanity_url_code"`
	ApplicationID               *ID       `json:"application_id"`
	MaxMembers                  int       `json:"max_members"`
	Features                    []string  `json:"features"`
	Emojis                      []Nothing `json:"emojis"`
	Stickers                    []Nothing `json:"stickers"`
	Roles                       []Role    `json:"roles"`
	Channels                    []Channel `json:"channels,omitempty"`
	Members                     []Member  `json:"members,omitempty"`
	MemberCount                 int       `json:"member_count,omitempty"`
}

// Nothing is the element of lists that are always empty: emojis, stickers, threads, ...
type Nothing struct{}

// NewGuild fills what every guild object must hold.
func NewGuild(id ID, name string, owner ID) Guild {
	return Guild{ID: id, Name: name, OwnerID: owner, AFKTimeout: 300, PreferredLocale: "en-US", MaxMembers: 1_000_000,
		Features: []string{}, Emojis: []Nothing{}, Stickers: []Nothing{}, Roles: []Role{}}
}

// GuildCreate is the d of GUILD_CREATE: one guild as one session may see it.
type GuildCreate struct {
	Guild
	Channels             []Channel  `json:"channels"`
	Members              []Member   `json:"members"`
	MemberCount          int        `json:"member_count"` // everyone, listed or not
	Threads              []Nothing  `json:"threads"`
	Presences            []Presence `json:"presences"` // of those in members who are not offline
	VoiceStates          []Nothing  `json:"voice_states"`
	StageInstances       []Nothing  `json:"stage_instances"`
	GuildScheduledEvents []Nothing  `json:"guild_scheduled_events"`
	SoundboardSounds     []Nothing  `json:"soundboard_sounds"`
	JoinedAt             Time       `json:"joined_at"`
	Large                bool       `json:"large"`
	Unavailable          bool       `json:"unavailable"`
}

// GuildStub names a guild in READY and in GUILD_DELETE. Unavailable is left out of GUILD_DELETE when the user is no longer a member.
type GuildStub struct {
	ID          ID   `json:"id"`
	Unavailable bool `json:"unavailable,omitempty"`
}
