package api

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"unicode"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/api/form"
	"github.com/starling-chat/starling/proto"
)

// editUser is PATCH /users/@me.
func (s *Server) editUser(c *call) (reply, error) {
	var in core.UserEdit
	if err := form.Decode(c.Request, &in); err != nil {
		return reply{}, err
	}
	cmd := c.command(core.KindUserEdit, c.who.User.Bucket())
	if in.Username != nil {
		if err := s.checkNewName(c, in.Username, cmd.Id); err != nil {
			return reply{}, err
		}
	}
	if in.GlobalName.Value != nil {
		if err := form.Length("global_name", *in.GlobalName.Value, 0, 32); err != nil {
			return reply{}, err
		}
	}
	for field, o := range map[string]*core.Optional[string]{"avatar": &in.Avatar, "banner": &in.Banner} {
		if o.Value == nil {
			continue
		}
		hash, err := pictureHash(field, *o.Value)
		if err != nil {
			return reply{}, err
		}
		o.Value = hash
	}
	if in.AccentColor.Value != nil {
		if err := form.Range("accent_color", *in.AccentColor.Value, 0, 1<<24-1); err != nil {
			return reply{}, err
		}
	}
	return s.do(c, cmd, in)
}

// checkNewName checks a new username; a person's is reserved for the command.
func (s *Server) checkNewName(c *call, name *string, command []byte) error {
	if c.who.bot() {
		*name = strings.TrimSpace(*name)
		if strings.ContainsFunc(*name, unicode.IsControl) {
			return proto.InvalidForm("username", "BASE_TYPE_BAD_CHARACTERS", "Must not contain control characters.")
		}
		return form.Length("username", *name, 2, 32)
	}
	var err error
	if *name, err = checkUsername(*name); err != nil {
		return err
	}
	u, err := s.user(c, c.who.User)
	if err != nil || u.Username == *name {
		return err
	}
	return s.reserve(c, *name, command, "")
}

// pictureHash is what a picture is known by: clients send the picture as a data URI and get its hash, which also is what they may send
// again. The picture itself is kept nowhere. "" is none.
func pictureHash(field, s string) (*string, error) {
	if s == "" {
		return nil, nil
	}
	bad := proto.InvalidForm(field, "IMAGE_INVALID", "Must be the data URI of an image.")
	kind, data, ok := strings.Cut(s, ";base64,")
	if !ok {
		if len(s) > 64 || strings.ContainsFunc(s, func(r rune) bool { return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') }) {
			return nil, bad
		}
		return &s, nil
	}
	if !strings.HasPrefix(kind, "data:image/") {
		return nil, bad
	}
	picture, err := base64.StdEncoding.DecodeString(data)
	if err != nil || len(picture) == 0 {
		return nil, bad
	}
	sum := sha256.Sum256(picture)
	hash := hex.EncodeToString(sum[:16])
	return &hash, nil
}
