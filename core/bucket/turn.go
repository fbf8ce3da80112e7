package bucket

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// readTimeout bounds one read of a store: the whole bucket waits for it.
const readTimeout = 2 * time.Second

// A handler executes one kind of command.
type handler struct {
	run       func(*turn) error
	structure bool // its events change what the directory holds: it waits while the directory lags
	writes    bool // it may append
}

func structural(run func(*turn) error) handler { return handler{run, true, true} }
func messaging(run func(*turn) error) handler  { return handler{run, false, true} }
func passing(run func(*turn) error) handler    { return handler{run, false, false} }

// handlers by kind of command. What snapshot.go serves is not here: it runs between groups.
var handlers map[string]handler

func init() { // not a literal: handlers reach countCommand, which reads the table
	handlers = map[string]handler{
		core.KindUserCreate:  structural(userCreate),
		core.KindTokenReset:  structural(tokenReset),
		core.KindSessionGone: structural(sessionGone),
		core.KindGuildJoined: structural(guildJoined),
		core.KindGuildLeft:   structural(guildLeft),

		core.KindUserEdit:     structural(userEdit),
		core.KindMemberUser:   structural(memberUser),
		core.KindRelationPut:  structural(relationPut),
		core.KindRelationDrop: structural(relationDrop),
		core.KindDirectOpen:   structural(directOpen),
		core.KindDirectClose:  structural(directClose),
		core.KindDirectOpened: structural(directOpened),
		core.KindDirectClosed: structural(directClosed),

		core.KindGuildCreate: structural(guildCreate),
		core.KindGuildEdit:   structural(guildEdit),
		core.KindGuildDelete: structural(guildDelete),

		core.KindChannelCreate:   structural(channelCreate),
		core.KindChannelEdit:     structural(channelEdit),
		core.KindChannelDelete:   structural(channelDelete),
		core.KindChannelsMove:    structural(channelsMove),
		core.KindOverwritePut:    structural(overwritePut),
		core.KindOverwriteDelete: structural(overwriteDelete),

		core.KindRoleCreate: structural(roleCreate),
		core.KindRoleEdit:   structural(roleEdit),
		core.KindRoleDelete: structural(roleDelete),
		core.KindRolesMove:  structural(rolesMove),

		core.KindMemberAdd:      structural(memberAdd),
		core.KindMemberJoin:     structural(memberJoin),
		core.KindMemberRemove:   structural(memberRemove),
		core.KindMemberEdit:     structural(memberEdit),
		core.KindMemberRoleAdd:  structural(memberRoleAdd),
		core.KindMemberRoleDrop: structural(memberRoleDrop),

		core.KindBanPut:       structural(banPut),
		core.KindBanDelete:    structural(banDelete),
		core.KindBanBulk:      structural(banBulk),
		core.KindMembersPrune: structural(membersPrune),

		core.KindInviteCreate: structural(inviteCreate),
		core.KindInviteDelete: structural(inviteDelete),

		core.KindMessageCreate: messaging(messageCreate),
		core.KindMessageEdit:   messaging(messageEdit),
		core.KindMessageDelete: messaging(messageDelete),
		core.KindMessagesPurge: messaging(messagesPurge),
		core.KindTyping:        passing(typing),

		core.KindMessageBulkDelete:   messaging(messageBulkDelete),
		core.KindPin:                 messaging(pin),
		core.KindUnpin:               messaging(unpin),
		core.KindReactionAdd:         messaging(reactionAdd),
		core.KindReactionRemove:      messaging(reactionRemove),
		core.KindReactionRemoveAll:   messaging(reactionRemoveAll),
		core.KindReactionRemoveEmoji: messaging(reactionRemoveEmoji),
	}
}

// A turn is the execution of one command. A handler first checks everything, then emits; what it emits takes effect only if it
// returns nil, so nothing is half done.
type turn struct {
	b   *bucket
	g   *group
	ctx context.Context
	cmd *pb.Command
	now time.Time

	direct  *direct // once the command is known to be about one
	events  []*pb.Event
	effects []func()   // of the events, nil for none
	answer  *pb.Event  // event that the answer is made from
	shown   []byte     // what resultOf would make of it, where that is known cheaply
	result  *pb.Result // or the answer itself
	repeat  *memo      // or an earlier event
}

// body decodes the command's body into v.
func (t *turn) body(v any) error {
	if len(t.cmd.Body) == 0 {
		return nil
	}
	if !utf8.Valid(t.cmd.Body) {
		return proto.ErrInvalidJSON
	}
	if err := json.Unmarshal(t.cmd.Body, v); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return proto.ErrInvalidJSON
		}
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) && wrong.Field != "" {
			return proto.InvalidForm(wrong.Field, "BASE_TYPE_BAD", "Wrong type")
		}
		return proto.InvalidForm("_", "BASE_TYPE_BAD", "Wrong type")
	}
	return nil
}

// newID issues an id.
func (t *turn) newID() (proto.ID, error) { return t.b.issuer.Next(t.now, t.b.o.cfg.Now()) }

func (t *turn) actor() proto.ID   { return proto.ID(t.cmd.Actor) }
func (t *turn) target() proto.ID  { return proto.ID(t.cmd.Target) }
func (t *turn) channel() proto.ID { return proto.ID(t.cmd.Channel) }

// emit adds an event whose body is v, and what it does to the state. The handler must not fail any more.
func (t *turn) emit(ev *pb.Event, v any, effect func()) *pb.Event {
	if v != nil {
		ev.Body = encode(v)
	}
	if ev.Author == 0 {
		ev.Author = t.cmd.Actor
	}
	if t.direct != nil { // its users have all rights there, and see all content
		ev.Recipients, ev.Required, ev.BodyNoContent = t.direct.recipients(), 0, nil
	}
	t.events = append(t.events, ev)
	t.effects = append(t.effects, effect)
	return ev
}

// answered makes ev the one event of the command that carries its id: a repeat is answered from it.
func (t *turn) answered(ev *pb.Event, status int) error {
	ev.Command = t.cmd.Id
	ev.Status = int32(status)
	t.answer = ev
	return nil
}

// just answers without an event, nil for no body.
func (t *turn) just(status int, v any) error {
	t.result = &pb.Result{Status: int32(status)}
	if v != nil {
		t.result.Body = encode(v)
	}
	return nil
}

// finish makes the turn's effects part of the group.
func (t *turn) finish(c *call) {
	structure := false
	for i, ev := range t.events {
		if ev.Guild != 0 && core.CarriesBefore(ev.Type) {
			ev.Before = t.before(ev)
		}
		if f := t.effects[i]; f != nil {
			f()
		}
		t.g.size += eventSize(ev)
		structure = structure || isStructure(ev)
	}
	t.g.events = append(t.g.events, t.events...)
	a := answer{call: c, result: t.result, memo: t.repeat, shown: t.shown, structure: structure}
	if t.answer != nil {
		t.g.commands++
		a.memo = t.b.recent.learn(t.answer, 0, t.now)
		if t.shown != nil {
			a.memo.event.Body = t.shown // says as much to whoever asks again, and the rest of the event can go
		}
	}
	t.g.answers = append(t.g.answers, a)
}

// read bounds a read of a store.
func (t *turn) read() (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.ctx, readTimeout)
}

// encode gives the JSON of what we made ourselves.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("bucket: encode %T: %v", v, err))
	}
	return b
}
