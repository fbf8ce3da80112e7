package proto

import (
	"encoding/json"
	"testing"
)

func TestChannelPermissions(t *testing.T) {
	const (
		g, alice, bob  = ID(1), ID(2), ID(3)
		mods, muted    = ID(10), ID(11)
		view, send     = PermViewChannel, PermSendMessages
		manage         = PermManageMessages
		everyoneCan    = view | send | PermMentionEveryone | PermAttachFiles | PermEmbedLinks
		admin          = PermAdministrator
		roleOw, userOw = OverwriteRole, OverwriteMember
	)
	roles := map[ID]Role{g: {ID: g, Permissions: everyoneCan}, mods: {ID: mods, Permissions: manage}, muted: {ID: muted},
		12: {ID: 12, Permissions: admin}}
	for _, c := range []struct {
		name       string
		owner      bool
		roles      []ID
		overwrites []Overwrite
		guild      Permissions
		channel    Permissions
	}{
		{"everyone", false, nil, nil, everyoneCan, everyoneCan},
		{"owner", true, nil, []Overwrite{{g, roleOw, 0, view}, {alice, userOw, 0, view}}, PermAll, PermAll},
		{"administrator", false, []ID{12}, []Overwrite{{12, roleOw, 0, view}, {alice, userOw, 0, view}}, PermAll, PermAll},
		{"role adds", false, []ID{mods}, nil, everyoneCan | manage, everyoneCan | manage},
		{"unknown role", false, []ID{99}, nil, everyoneCan, everyoneCan},
		{"hidden from everyone", false, nil, []Overwrite{{g, roleOw, 0, view}}, everyoneCan, 0},
		{"hidden, but not from the role", false, []ID{mods}, []Overwrite{{g, roleOw, 0, view}, {mods, roleOw, view, 0}},
			everyoneCan | manage, everyoneCan | manage},
		{"order of the list does not matter", false, []ID{mods}, []Overwrite{{mods, roleOw, view, 0}, {g, roleOw, 0, view}},
			everyoneCan | manage, everyoneCan | manage},
		{"of two roles, allow wins", false, []ID{mods, muted}, []Overwrite{{muted, roleOw, 0, send}, {mods, roleOw, send, 0}},
			everyoneCan | manage, everyoneCan | manage},
		{"another's role does not count", false, nil, []Overwrite{{muted, roleOw, 0, send}}, everyoneCan, everyoneCan},
		{"own overwrite denies above the role", false, []ID{mods}, []Overwrite{{alice, userOw, 0, manage}, {mods, roleOw, manage, 0}},
			everyoneCan | manage, everyoneCan},
		{"own overwrite allows above everything", false, []ID{muted},
			[]Overwrite{{g, roleOw, 0, view}, {muted, roleOw, 0, view}, {alice, userOw, view, 0}}, everyoneCan, everyoneCan},
		{"overwrite of another member", false, nil, []Overwrite{{bob, userOw, 0, view}}, everyoneCan, everyoneCan},
		{"a member's overwrite is not a role's", false, []ID{mods}, []Overwrite{{mods, userOw, 0, view}}, everyoneCan | manage, everyoneCan | manage},
		{"a role's overwrite is not a member's", false, nil, []Overwrite{{alice, roleOw, 0, view}}, everyoneCan, everyoneCan},
		{"without view nothing is left", false, []ID{mods}, []Overwrite{{alice, userOw, manage, view}}, everyoneCan | manage, 0},
		{"without send nothing that needs it", false, []ID{mods}, []Overwrite{{g, roleOw, 0, send}}, everyoneCan | manage, view | manage},
		{"allow beats deny in one overwrite", false, nil, []Overwrite{{alice, userOw, send, send}}, everyoneCan, everyoneCan},
		{"an overwrite makes no administrator", false, nil, []Overwrite{{alice, userOw, admin, view}}, everyoneCan, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			base := GuildPermissions(g, c.owner, c.roles, roles)
			if base != c.guild {
				t.Errorf("guild: got %b, want %b", base, c.guild)
			}
			if got := ChannelPermissions(g, base, alice, c.roles, c.overwrites); got != c.channel {
				t.Errorf("channel: got %b, want %b", got, c.channel)
			}
		})
	}
}

func TestPermissionsJSON(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Permissions
		bad  bool
	}{
		{`"0"`, 0, false}, {`"2048"`, 2048, false}, {`2048`, 2048, false}, {`null`, 7, false}, {`"9223372036854775807"`, 1<<63 - 1, false},
		{`"9223372036854775808"`, 7, true}, {`-1`, 7, true}, {`""`, 7, true}, {`1.5`, 7, true}, {`"1e3"`, 7, true}, {`[1]`, 7, true}, {`true`, 7, true},
	} {
		got := Permissions(7)
		if err := json.Unmarshal([]byte(c.in), &got); (err != nil) != c.bad || got != c.want {
			t.Errorf("%s: got %d, %v; want %d", c.in, got, err, c.want)
		}
	}
	if b, err := json.Marshal(PermViewChannel); err != nil || string(b) != `"1024"` {
		t.Errorf("got %s, %v", b, err)
	}
}

func TestHierarchy(t *testing.T) {
	const g = ID(1)
	roles := map[ID]Role{g: {ID: g}, 5: {ID: 5, Position: 1}, 6: {ID: 6, Position: 1}, 7: {ID: 7, Position: 2}}
	for _, c := range []struct {
		roles []ID
		want  ID
	}{{nil, g}, {[]ID{99}, g}, {[]ID{6}, 6}, {[]ID{6, 5}, 5}, {[]ID{5, 6}, 5}, {[]ID{5, 7, 6}, 7}} {
		if got := HighestRole(g, c.roles, roles); got.ID != c.want {
			t.Errorf("%v: got %d, want %d", c.roles, got.ID, c.want)
		}
	}
	if roles[5].Above(roles[5]) || !roles[5].Above(roles[6]) || roles[6].Above(roles[5]) || !roles[7].Above(roles[5]) || roles[g].Above(roles[5]) {
		t.Error("Above is no strict order")
	}
}
