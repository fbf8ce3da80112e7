package proto

// A User as everybody sees it (Discord: User).
type User struct {
	ID            ID      `json:"id"`
	Username      string  `json:"username"`
	Discriminator string  `json:"discriminator"` // always "0"
	GlobalName    *string `json:"global_name"`
	Avatar        *string `json:"avatar"`
	Bot           bool    `json:"bot"`
	System        bool    `json:"system"`
	PublicFlags   int     `json:"public_flags"`
	Banner        *string `json:"banner"`
	AccentColor   *int    `json:"accent_color"`
}

// A SelfUser is a User as its owner sees it.
type SelfUser struct {
	User
	Verified   bool    `json:"verified"`
	MFAEnabled bool    `json:"mfa_enabled"`
	Email      *string `json:"email"`
	Flags      int     `json:"flags"`
	Locale     string  `json:"locale"`
}

// NewUser fills what every user object must hold.
func NewUser(id ID, name string, bot bool) User {
	return User{ID: id, Username: name, Discriminator: "0", Bot: bot}
}

// Self is u as its owner sees it.
func (u User) Self() SelfUser { return SelfUser{User: u, Verified: true, Locale: "en-US"} }
