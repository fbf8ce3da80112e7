package chat

import (
	"path/filepath"
	"slices"

	client "github.com/starling-chat/starling/client/go"
)

// A keyring is the file with the logins of this person, one per server and name, the last used first. It holds secrets: mode 0600.
type keyring struct{ path string }

type keys struct {
	Logins []login `json:"logins"`
}

type login struct {
	URL string `json:"url"`
	client.Login
}

const maxLogins = 64

func openKeyring(getenv func(string) string) (*keyring, error) {
	dir, err := folder(getenv, "XDG_CONFIG_HOME", ".config")
	if err != nil {
		return nil, err
	}
	return &keyring{filepath.Join(dir, "chat.json")}, nil
}

// find gives the login for a server and name; an empty one means the last used.
func (k *keyring) find(url, user string) (login, bool, error) {
	var all keys
	if err := readJSON(k.path, &all); err != nil {
		return login{}, false, err
	}
	for _, l := range all.Logins {
		if (url == "" || l.URL == url) && (user == "" || l.User == user) {
			return l, true, nil
		}
	}
	return login{}, false, nil
}

// A seat is the place of one login in the keyring; it implements client.TokenStore. user is known after the first login.
type seat struct {
	ring *keyring
	url  string
	user string
}

// Load implements client.TokenStore.
func (s *seat) Load() (client.Login, error) {
	l, _, err := s.ring.find(s.url, s.user)
	return l.Login, err
}

// Update implements client.TokenStore. The lock holds off other processes of the same person: a refresh token works once.
func (s *seat) Update(change func(client.Login) (client.Login, error)) (client.Login, error) {
	unlock, err := lock(s.ring.path)
	if err != nil {
		return client.Login{}, err
	}
	defer unlock()
	var all keys
	if err := readJSON(s.ring.path, &all); err != nil {
		return client.Login{}, err
	}
	mine := func(l login) bool { return l.URL == s.url && l.User == s.user }
	var old client.Login
	if i := slices.IndexFunc(all.Logins, mine); i >= 0 {
		old = all.Logins[i].Login
	}
	next, err := change(old)
	if err != nil {
		return next, err
	}
	if next.User != "" {
		s.user = next.User
	}
	all.Logins = slices.DeleteFunc(all.Logins, mine)
	if next.Token != "" {
		all.Logins = slices.Insert(all.Logins, 0, login{s.url, next})
	}
	all.Logins = all.Logins[:min(len(all.Logins), maxLogins)]
	return next, writeJSON(s.ring.path, all)
}
