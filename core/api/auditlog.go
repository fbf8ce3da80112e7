package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

// reason is why the caller does what the call does, for the audit log: a header, percent-encoded or not; the older form is a query key.
// The owner of the bucket cuts it to its length.
func (c *call) reason() string {
	s := c.Header.Get("X-Audit-Log-Reason")
	if s == "" {
		return c.URL.Query().Get("reason")
	}
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}

// listAuditLog answers entries with the users that they name.
func (s *Server) listAuditLog(c *call) (reply, error) {
	page, err := pageOf(c, 50, 100)
	if err != nil {
		return reply{}, err
	}
	q := core.AuditQuery{Before: page.before, After: page.after, Limit: page.limit}
	query := c.URL.Query()
	if v := query.Get("user_id"); v != "" {
		if q.User, err = parseField("user_id", v); err != nil {
			return reply{}, err
		}
	}
	if v := query.Get("action_type"); v != "" {
		if q.Action, err = strconv.Atoi(v); err != nil || q.Action < 0 {
			return reply{}, proto.InvalidForm("action_type", "NUMBER_TYPE_COERCE", "Value is not int.")
		}
	}
	p, err := s.pathSeat(c, proto.ErrMissingAccess)
	if err != nil {
		return reply{}, err
	}
	if !p.base.Has(proto.PermViewAuditLog) {
		return reply{}, proto.ErrMissingPermission
	}
	entries, err := s.cfg.Directory.AuditLog(c.ctx(), p.guild.ID, q)
	if err != nil {
		return reply{}, fmt.Errorf("guild %d: audit log: %w", p.guild.ID, err)
	}
	users, err := s.audited(c, entries)
	if err != nil {
		return reply{}, err
	}
	none := []proto.Nothing{}
	return reply{http.StatusOK, proto.AuditLog{Entries: entries, Users: users, Webhooks: none, Integrations: none, Threads: none,
		ScheduledEvents: none, AutoModeration: none, Commands: none}}, nil
}

// audited are the users who did what entries tell, and to whom.
func (s *Server) audited(c *call, entries []proto.AuditLogEntry) ([]proto.User, error) {
	users, seen := []proto.User{}, map[proto.ID]bool{}
	add := func(id *proto.ID) error {
		if id == nil || seen[*id] {
			return nil
		}
		seen[*id] = true
		u, err := s.cfg.Directory.User(c.ctx(), *id)
		if errors.Is(err, core.ErrNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("user %d: %w", *id, err)
		}
		users = append(users, u)
		return nil
	}
	for _, e := range entries {
		if err := add(e.UserID); err != nil {
			return nil, err
		}
		if e.Action >= proto.AuditMemberKick && e.Action <= proto.AuditBotAdd || e.Action == proto.AuditMessageDelete {
			if err := add(e.TargetID); err != nil {
				return nil, err
			}
		}
	}
	return users, nil
}
