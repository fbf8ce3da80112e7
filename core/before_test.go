package core

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"github.com/starling-chat/starling/proto"
)

// notOfGuilds are structural types that no guild's bucket has events of, and what only edges say.
var notOfGuilds = map[string]bool{
	proto.EventReady: true, proto.EventResumed: true, proto.EventGuildCreate: true, proto.EventGuildMembersChunk: true, proto.EventPresenceUpdate: true, proto.EventPresencesReplace: true,
	proto.EventUserUpdate: true, proto.EventRelationshipAdd: true, proto.EventRelationshipRemove: true, proto.EventInternalUserBorn: true,
	proto.EventInternalTokenReset: true, proto.EventInternalSessionRevoke: true, proto.EventInternalGuildJoined: true,
	proto.EventInternalGuildLeft: true, proto.EventInternalDirectBorn: true, proto.EventInternalDirectShown: true,
	proto.EventInternalDirectHidden: true, proto.EventInternalDirectOpened: true, proto.EventInternalDirectClosed: true,
}

// Every name of an event in package proto is either of messages, or decided on here: who adds one has to think of what it undoes.
func TestEveryTypeIsDecidedOn(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../proto/event.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	names := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Event") || len(spec.Values) != 1 {
			return true
		}
		lit, ok := spec.Values[0].(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return true
		}
		kind, err := strconv.Unquote(lit.Value)
		if err != nil {
			t.Fatal(err)
		}
		names++
		_, decided := before[kind]
		if want := Structural(kind) && !notOfGuilds[kind]; decided != want {
			t.Errorf("%s: decided on: %v, want %v", kind, decided, want)
		}
		return true
	})
	if names < 40 {
		t.Errorf("found %d names of events", names)
	}
}
