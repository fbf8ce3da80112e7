package chat

import (
	"context"
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/starling-chat/starling/proto"
)

// A command is a line that begins with a slash.
type command struct {
	name, args, what string
	need             bool // args must be given
	run              func(m *model, args string) tea.Cmd
}

// commands in the order /help shows them.
var commands []command

func init() { // it refers to itself by /help
	commands = []command{
		{"help", "", "this page", false, func(m *model, _ string) tea.Cmd { m.help, m.helpAt = true, 0; return nil }},
		{"guild", "NAME", "make a guild; its first channel is #general", true, (*model).makeGuild},
		{"channel", "NAME", "make a channel in this guild", true, (*model).makeChannel},
		{"invite", "", "make a code that lets others join this guild", false, (*model).makeInvite},
		{"join", "CODE", "join a guild by the code of an invite", true, (*model).join},
		{"leave", "", "leave this guild", false, (*model).leaveGuild},
		{"go", "NAME", "go to a channel", true, (*model).goTo},
		{"reply", "[TEXT]", "reply to the last message of somebody else", false, (*model).replyLast},
		{"edit", "", "edit your last message", false, func(m *model, _ string) tea.Cmd { return m.edit(m.mine()) }},
		{"delete", "", "delete your last message", false, (*model).deleteMine},
		{"retry", "", "send failed messages again", false, func(m *model, _ string) tea.Cmd { return m.retryHere() }},
		{"logout", "", "end this login and forget it", false, (*model).logOut},
		{"quit", "", "leave the program; you stay logged in", false, func(m *model, _ string) tea.Cmd { return m.quit() }},
	}
}

// matching lists the commands that a text may become.
func matching(text string) []command {
	word := strings.ToLower(strings.TrimPrefix(strings.SplitN(text, " ", 2)[0], "/"))
	var out []command
	for _, c := range commands {
		if c.name == word || strings.HasPrefix(c.name, word) && !strings.Contains(text, " ") {
			out = append(out, c)
		}
	}
	return out
}

func (m *model) command(text string) tea.Cmd {
	word, args, _ := strings.Cut(text, " ")
	args = strings.TrimSpace(args)
	m.said = notice{}
	for _, c := range commands {
		if "/"+c.name != strings.ToLower(word) {
			continue
		}
		if c.need && args == "" {
			m.wrong(fmt.Sprintf("/%s %s: %s", c.name, c.args, c.what))
			return nil
		}
		return c.run(m, args)
	}
	m.wrong(fmt.Sprintf("There is no %s: /help lists what there is. To send it as a message, begin with //.", cleanLine(word)))
	return nil
}

// done is the outcome of a call made for a command.
type done struct {
	wrong string // what to say before the error
	right string
	err   error
	then  func(m *model) tea.Cmd
}

// do makes a call and says how it went; wrong is said before what went wrong.
func (m *model) do(wrong, right string, call func(context.Context, api) error) tea.Cmd {
	ctx, a := m.ctx, m.api // call runs beside Update and must not touch the model
	return func() tea.Msg { return done{wrong: wrong, right: right, err: call(ctx, a)} }
}

func (m *model) onDone(d done) tea.Cmd {
	switch {
	case m.form != nil:
	case d.err != nil:
		m.wrong(d.wrong + ": " + words(d.err))
		return nil
	case d.right != "":
		m.say(d.right)
	}
	if d.then != nil && d.err == nil {
		return d.then(m)
	}
	return nil
}

func (m *model) makeGuild(name string) tea.Cmd {
	api, ctx := m.api, m.ctx
	return func() tea.Msg {
		g, err := api.CreateGuild(ctx, name)
		return done{wrong: "The guild was not made", right: "A guild of your own. /invite lets others in.", err: err,
			then: func(m *model) tea.Cmd { return m.visit(g.ID) }}
	}
}

// visit shows a guild, at once or as soon as the gateway has told of it.
func (m *model) visit(id proto.ID) tea.Cmd {
	if g := m.world.guild(id); g != nil && len(g.channels) > 0 {
		return m.show(g.channels[0])
	}
	m.goal = id
	return nil
}

func (m *model) makeChannel(name string) tea.Cmd {
	if m.here == nil && len(m.world.guilds) == 0 {
		m.wrong("No guild yet: /guild NAME makes one.")
		return nil
	}
	g := m.world.guilds[0].id
	if m.here != nil {
		g = m.here.guild.id
	}
	api, ctx := m.api, m.ctx
	return func() tea.Msg {
		c, err := api.CreateChannel(ctx, g, strings.ReplaceAll(strings.ToLower(name), " ", "-"))
		return done{wrong: "The channel was not made", err: err, then: func(m *model) tea.Cmd {
			if ch := m.world.channels[c.ID]; ch != nil {
				return m.show(ch)
			}
			return nil
		}}
	}
}

const inviteLife = 24 * 60 * 60 // seconds

func (m *model) makeInvite(string) tea.Cmd {
	if m.here == nil {
		m.wrong("No guild yet: /guild NAME makes one.")
		return nil
	}
	api, ctx, id := m.api, m.ctx, m.here.id
	return func() tea.Msg {
		i, err := api.CreateInvite(ctx, id, inviteLife)
		return done{wrong: "No invite was made", err: err,
			right: fmt.Sprintf("Others join by  /join %s  within a day.", cleanLine(i.Code))}
	}
}

func (m *model) join(code string) tea.Cmd {
	if i := strings.LastIndexByte(strings.TrimRight(code, "/"), '/'); i >= 0 { // a link
		code = strings.TrimRight(code, "/")[i+1:]
	}
	api, ctx := m.api, m.ctx
	return func() tea.Msg {
		i, err := api.Join(ctx, code)
		return done{wrong: "Not joined", right: "Welcome to " + cleanLine(i.Guild.Name) + ".", err: err,
			then: func(m *model) tea.Cmd { return m.visit(i.Guild.ID) }}
	}
}

func (m *model) leaveGuild(args string) tea.Cmd {
	if m.here == nil {
		m.wrong("No guild to leave.")
		return nil
	}
	g := m.here.guild
	if args != "yes" {
		m.say("Leave " + g.name + "?  /leave yes  does it.")
		return nil
	}
	id := g.id
	return m.do("You are still in "+g.name, "You have left "+g.name+".", func(ctx context.Context, a api) error { return a.LeaveGuild(ctx, id) })
}

func (m *model) goTo(name string) tea.Cmd {
	name = strings.ToLower(strings.TrimPrefix(name, "#"))
	var near *channel
	for _, ch := range m.world.order() {
		if low := strings.ToLower(ch.name); low == name {
			return m.show(ch)
		} else if near == nil && strings.Contains(low, name) {
			near = ch
		}
	}
	if near == nil {
		m.wrong("No channel is called " + cleanLine(name) + ".")
		return nil
	}
	return m.show(near)
}

func (m *model) replyLast(text string) tea.Cmd {
	if m.here == nil {
		return m.reply(nil)
	}
	for i := len(m.here.lines.entries) - 1; i >= 0; i-- {
		if e := m.here.lines.entries[i]; e.author != m.world.me {
			if text != "" {
				return m.post(m.here, text, e)
			}
			return m.reply(e)
		}
	}
	return m.reply(nil)
}

func (m *model) deleteMine(string) tea.Cmd {
	e := m.mine()
	if e != nil {
		m.deleting = e.id // a command is clear enough
	}
	return m.remove(e)
}

func (m *model) logOut(string) tea.Cmd {
	ctx, a := m.ctx, m.api
	return func() tea.Msg {
		return done{wrong: "Still logged in", err: a.LogOut(ctx), then: func(m *model) tea.Cmd { return m.exit("Logged out.") }}
	}
}
