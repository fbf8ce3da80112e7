package bucket

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

const maxReason = 512 // characters

// Keys of what is created, changed or deleted that the audit log tells.
var (
	auditedChannel = []string{"name", "type", "topic", "nsfw", "rate_limit_per_user", "position", "parent_id"}
	auditedRole    = []string{"name", "permissions", "color", "hoist", "mentionable", "position"}
	auditedInvite  = []string{"code", "channel_id", "inviter_id", "uses", "max_uses", "max_age", "temporary"}
	auditedMember  = []string{"nick", "communication_disabled_until"}
)

// audit notes in the guild's audit log what the command does, behind the events that do it. target 0 stands for none.
func (t *turn) audit(g *guild, action int, target proto.ID, changes []proto.AuditChange, options *proto.AuditOptions) error {
	id, err := t.newID()
	if err != nil {
		return err
	}
	e := proto.AuditLogEntry{ID: id, UserID: new(t.actor()), Action: action, Changes: changes, Options: options, Reason: t.reason()}
	if target != 0 {
		e.TargetID = &target
	}
	t.emit(&pb.Event{Type: proto.EventAuditLogEntry, Guild: uint64(g.info.ID), Id: uint64(id), Required: uint64(proto.PermViewAuditLog)},
		proto.AuditLogEvent{AuditLogEntry: e, GuildID: g.info.ID}, nil)
	return nil
}

// reason is what the actor gave as reason, fit for every store.
func (t *turn) reason() string {
	s := strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(t.cmd.Reason, "")))
	if utf8.RuneCountInString(s) > maxReason {
		s = string([]rune(s)[:maxReason])
	}
	return s
}

// changes tells in which of the keys the JSON of two objects differs; nil is an object that is not there. null counts as nothing.
func changes(old, next any, keys ...string) []proto.AuditChange {
	was, is := fields(old), fields(next)
	var list []proto.AuditChange
	for _, key := range keys {
		if !bytes.Equal(was[key], is[key]) {
			list = append(list, proto.AuditChange{Key: key, Old: was[key], New: is[key]})
		}
	}
	return list
}

func fields(v any) map[string]json.RawMessage {
	m := map[string]json.RawMessage{}
	if v == nil {
		return m
	}
	if err := json.Unmarshal(encode(v), &m); err != nil {
		panic(err) // our own objects
	}
	for k, raw := range m {
		if string(raw) == "null" {
			delete(m, k)
		}
	}
	return m
}

// roleChanges tells which roles of a member come and go, in Discord's form.
func (g *guild) roleChanges(old, next []proto.ID) []proto.AuditChange {
	type named struct {
		Name string   `json:"name"`
		ID   proto.ID `json:"id"`
	}
	var list []proto.AuditChange
	for _, side := range []struct {
		key      string
		of, less []proto.ID
	}{{"$add", next, old}, {"$remove", old, next}} {
		var roles []named
		for _, id := range side.of {
			if r, ok := g.roles[id]; ok && !slices.Contains(side.less, id) {
				roles = append(roles, named{r.Name, id})
			}
		}
		if roles != nil {
			list = append(list, proto.AuditChange{Key: side.key, New: encode(roles)})
		}
	}
	return list
}

// auditOverwrites notes every overwrite of a channel that comes, goes or changes.
func (t *turn) auditOverwrites(g *guild, channel proto.ID, old, next []proto.Overwrite) error {
	was, is := map[proto.ID]proto.Overwrite{}, map[proto.ID]proto.Overwrite{}
	for _, o := range old {
		was[o.ID] = o
	}
	note := func(action int, o proto.Overwrite, list []proto.AuditChange) error {
		options := &proto.AuditOptions{ID: new(o.ID), Type: strconv.Itoa(o.Type)}
		if o.Type == proto.OverwriteRole {
			options.RoleName = g.roles[o.ID].Name
		}
		return t.audit(g, action, channel, list, options)
	}
	for _, o := range next {
		is[o.ID] = o
		before, known := was[o.ID]
		var err error
		switch {
		case !known:
			err = note(proto.AuditOverwriteCreate, o, changes(nil, o, "id", "type", "allow", "deny"))
		case before != o:
			err = note(proto.AuditOverwriteUpdate, o, changes(before, o, "allow", "deny"))
		}
		if err != nil {
			return err
		}
	}
	for _, o := range old {
		if _, kept := is[o.ID]; !kept {
			if err := note(proto.AuditOverwriteDelete, o, changes(o, nil, "id", "type", "allow", "deny")); err != nil {
				return err
			}
		}
	}
	return nil
}
