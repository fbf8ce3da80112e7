package loadtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

// Every route of docs/api.yaml that has an id in its path is tried by every sort of caller, with the ids of two guilds in every mixture.
// Who may do it says the document (x-starling-scope, -needs, -or, -only, -global). Who may not gets 403 or 404 with a code of Discord's, 401 only
// without a valid token, never 2xx or 5xx; and nothing in either guild has changed afterwards. Who may and only reads gets 2xx, so
// that the sweep cannot pass by refusing everybody. What may change something is left to TestDocumentedCalls.
func TestIDOR(t *testing.T) {
	d := readDocs(t)
	routes := served(t, plain.get(t))
	y := newYard(t)
	asked, refused := 0, 0
	for _, o := range d.ops {
		if len(o.params()) == 0 || !routes[o.Method+" /api/v10"+unnamed(o.Path)] {
			continue
		}
		t.Run(o.ID, func(t *testing.T) {
			y.lend(t, 0)
			before := y.state(t)
			for _, v := range y.variants(o) {
				for _, c := range y.callers {
					for _, lacks := range c.without(o) {
						if c.deputy {
							y.lend(t, lacks)
						}
						may := v.mayBe(o, c, lacks)
						if v.dm && c.inDM || may && !v.ignored && o.Method != http.MethodGet {
							continue
						}
						asked++
						if !may {
							refused++
						}
						y.try(t, d, o, v, c, may)
					}
				}
			}
			y.lend(t, 0)
			if after := y.state(t); after != before {
				t.Errorf("something changed in a guild: %s", difference(before, after))
			}
		})
	}
	t.Logf("%d calls, %d of them to be refused", asked, refused)
	if refused < 1000 {
		t.Errorf("only %d calls that must be refused: the sweep has lost its routes", refused)
	}
}

// try makes one call.
func (y *yard) try(t *testing.T, d *documents, o operation, v variant, c *caller, may bool) {
	t.Helper()
	path := o.fill(v.path) + probeQueries[o.ID]
	a, err := c.rest.Raw(within(t, patience), o.Method, path, v.body)
	if err != nil {
		t.Errorf("%s, %s: %v", c.name, v.name, err)
		return
	}
	var e proto.Error
	if a.Status >= 300 {
		if err := json.Unmarshal(a.Body, &e); err != nil {
			t.Errorf("%s, %s: %d %.200s", c.name, v.name, a.Status, a.Body)
			return
		}
	}
	bad := ""
	switch {
	case c.noToken:
		if a.Status != http.StatusUnauthorized {
			bad = "401"
		}
	case may && v.ignored:
		if a.Status >= 500 || a.Status == http.StatusUnauthorized {
			bad = "success, or 403 or 404"
		}
	case may:
		if a.Status >= 300 {
			bad = "2xx"
		}
	case v.mixed && a.Status == http.StatusBadRequest && e.Code != 0: // the body or the path names what is not of this guild
	case a.Status != http.StatusForbidden && a.Status != http.StatusNotFound || e.Code == 0:
		bad = "403 or 404 with a code"
	}
	if bad != "" {
		t.Errorf("%s, %s: %s %s: got %d %.200s, want %s", c.name, v.name, o.Method, path, a.Status, a.Body, bad)
		return
	}
	if err := d.answer(o, a.Status, a.Body); err != nil {
		t.Errorf("%s, %s: %v", c.name, v.name, err)
	}
}

// A variant is one mixture of ids.
type variant struct {
	name  string
	path  map[string]string
	body  any
	at    *site // whose all ids are; nil when they are mixed or of a direct message
	mixed bool
	dm    bool
	// ignored: at is a site, and what the operation ignores is of the other. Success is fine then, as long as nothing changes.
	ignored bool
}

// mayBe tells whether the document allows the call.
func (v variant) mayBe(o operation, c *caller, lacks proto.Permissions) bool {
	if c.noToken || o.Only == "person" && c.bot {
		return false
	}
	if o.ID == "joinGuild" && c.name == "banned" {
		return v.at == nil || v.at.home == nil // of the other guild
	}
	switch {
	case o.Scope == "global":
		return true
	case v.at == nil:
		return false
	case v.at.owner == c.name:
		return true
	case v.at.home == nil || o.Scope == "application" || c.seat == nil: // they are at home in the first guild alone
		return false
	}
	have := *c.seat
	if c.deputy {
		have = (proto.PermAll &^ proto.PermAdministrator) &^ lacks
	}
	if have.Has(proto.PermAdministrator) {
		have = proto.PermAll
	}
	if o.Scope == "channel" && (c.blind || !have.Has(proto.PermViewChannel)) {
		return false
	}
	if bit, ok := permissionNames[o.Or]; ok && have.Has(bit) {
		return true
	}
	for _, need := range o.Needs {
		bit, ok := permissionNames[need]
		if !ok || !have.Has(bit) { // OWNER and AUTHOR are the owner's, who has had an answer already
			return false
		}
	}
	return true
}

// variants are all mixtures of the ids of two guilds that a route can be called with.
func (y *yard) variants(o operation) []variant {
	var free []string // what may be of either guild
	for _, p := range o.params() {
		if p != "emoji" && !slices.Contains(o.Global, p) {
			free = append(free, p)
		}
	}
	if _, ok := y.near.bodies[o.ID]; ok {
		free = append(free, "body")
	}
	var list []variant
	for mask := range 1 << len(free) {
		v := variant{path: map[string]string{}, body: o.example()}
		for k, id := range y.near.path {
			v.path[k] = id
		}
		if strings.Contains(o.Path, "/bans/") {
			v.path["user"] = y.near.banned
		}
		var far []string // but what the operation ignores
		strange := map[bool]int{}
		at := map[bool]*site{false: y.near, true: y.far}
		for i, p := range free {
			s := at[mask>>i&1 == 1]
			switch {
			case p == "body":
				v.body = s.bodies[o.ID]
			case p == "user" && strings.Contains(o.Path, "/bans/"):
				v.path[p] = s.banned
			default:
				v.path[p] = s.path[p]
			}
			if slices.Contains(o.Ignores, p) {
				strange[s == y.far]++
			} else if s == y.far {
				far = append(far, p)
			}
		}
		switch len(far) {
		case 0:
			v.name, v.at, v.ignored = "own ids", y.near, strange[true] > 0
		case len(free) - len(o.Ignores):
			v.name, v.at, v.ignored = "ids of the other guild", y.far, strange[false] > 0
		default:
			v.name, v.mixed = "other guild's "+strings.Join(far, ", "), true
		}
		list = append(list, v)
	}
	if o.Scope == "channel" && slices.Contains(o.params(), "channel") {
		v := variant{name: "a direct message of others", dm: true, path: map[string]string{}, body: o.example()}
		for k, id := range y.near.path {
			v.path[k] = id
		}
		v.path["channel"], v.path["message"] = y.dm, y.dmMessage
		list = append(list, v)
	}
	return list
}

// probeQueries are what some routes cannot do without.
var probeQueries = map[string]string{"searchMembers": "?query=a", "countPrune": "?days=30", "listMembers": "?limit=10"}

// permissionNames are Discord's names of the bits.
var permissionNames = map[string]proto.Permissions{
	"CREATE_INSTANT_INVITE": proto.PermCreateInvite, "KICK_MEMBERS": proto.PermKickMembers, "BAN_MEMBERS": proto.PermBanMembers,
	"MANAGE_CHANNELS": proto.PermManageChannels, "MANAGE_GUILD": proto.PermManageGuild, "ADD_REACTIONS": proto.PermAddReactions,
	"VIEW_AUDIT_LOG": proto.PermViewAuditLog, "SEND_MESSAGES": proto.PermSendMessages, "MANAGE_MESSAGES": proto.PermManageMessages,
	"PIN_MESSAGES": proto.PermPinMessages, "READ_MESSAGE_HISTORY": proto.PermReadMessageHistory, "CHANGE_NICKNAME": proto.PermChangeNickname,
	"MANAGE_NICKNAMES": proto.PermManageNicknames, "MANAGE_ROLES": proto.PermManageRoles, "MODERATE_MEMBERS": proto.PermModerateMembers,
}

// The document asks for no permission that the sweep does not know.
func TestDocumentedPermissions(t *testing.T) {
	for _, o := range readDocs(t).ops {
		for _, need := range append(slices.Clone(o.Needs), o.Or) {
			if _, ok := permissionNames[need]; !ok && need != "" && need != "OWNER" && need != "AUTHOR" {
				t.Errorf("%s needs %q, which is no permission", o.ID, need)
			}
		}
		if scopes := []string{"public", "self", "global", "application", "guild", "channel"}; !slices.Contains(scopes, o.Scope) {
			t.Errorf("%s has the scope %q, want one of %v", o.ID, o.Scope, scopes)
		}
		if o.public() != (o.Scope == "public") {
			t.Errorf("%s: scope %q and security %v do not agree", o.ID, o.Scope, o.Security)
		}
	}
}

// A caller is somebody with a token, or without one.
type caller struct {
	name    string
	rest    *client.REST
	noToken bool
	bot     bool
	blind   bool
	inDM    bool
	deputy  bool               // holds every right but those that a call needs, one at a time
	seat    *proto.Permissions // in the first guild; nil for those who are not in it
}

// without lists which rights the caller is to be tried without; 0 is none.
func (c *caller) without(o operation) []proto.Permissions {
	if !c.deputy {
		return []proto.Permissions{0}
	}
	lacks := []proto.Permissions{0}
	for _, need := range o.Needs {
		if bit, ok := permissionNames[need]; ok {
			lacks = append(lacks, bit|permissionNames[o.Or])
		}
	}
	return lacks
}

// lend gives the deputy's role every right but some.
func (y *yard) lend(t *testing.T, lacks proto.Permissions) {
	t.Helper()
	if have := (proto.PermAll &^ proto.PermAdministrator) &^ lacks; y.lent != have {
		must(t, y.home.owner.Call(within(t, patience), "PATCH", fmt.Sprintf("/guilds/%s/roles/%s", y.home.guild.ID, y.deputyRole),
			map[string]any{"permissions": have}, nil))
		y.lent = have
	}
}

// difference shows where two texts begin to differ.
func difference(a, b string) string {
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	cut := func(s string) string { return s[max(0, i-100):min(len(s), i+200)] }
	return fmt.Sprintf("\nfrom %s\nto   %s", cut(a), cut(b))
}
