package chat

import (
	"context"
	"errors"
	"time"

	"charm.land/bubbles/v2/textarea"
	tea "charm.land/bubbletea/v2"

	client "github.com/starling-chat/starling/client/go"
	"github.com/starling-chat/starling/proto"
)

// An api is what the chat asks of a server; client.Client is one.
type api interface {
	URL() string
	Register(ctx context.Context, user, password string) (proto.SelfUser, error)
	LogIn(ctx context.Context, user, password string) (proto.SelfUser, error)
	LogOut(ctx context.Context) error
	CreateGuild(ctx context.Context, name string) (proto.Guild, error)
	LeaveGuild(ctx context.Context, guild proto.ID) error
	CreateChannel(ctx context.Context, guild proto.ID, name string) (proto.Channel, error)
	CreateInvite(ctx context.Context, channel proto.ID, seconds int) (proto.Invite, error)
	Join(ctx context.Context, code string) (proto.Invite, error)
	Send(ctx context.Context, channel proto.ID, d client.Draft) (client.Message, error)
	Edit(ctx context.Context, channel, message proto.ID, content string) (client.Message, error)
	Delete(ctx context.Context, channel, message proto.ID) error
	History(ctx context.Context, channel, before proto.ID, n int) ([]client.Message, error)
	Type(ctx context.Context, channel proto.ID) error
}

// focus is what keys go to.
type focus int

const (
	onComposer focus = iota
	onMessages
	onChannels
)

// A model is the whole state of the program. Update alone changes it.
type model struct {
	// Fixed at construction.
	ctx    context.Context
	getenv func(string) string
	open   func(url, user string) (api, error)       // makes the client of a login
	listen func(ctx context.Context, a api, f *feed) // runs its gateway until ctx ends
	clock  func() time.Time

	now           time.Time // of the message in Update
	width, height int
	quitting      bool
	away          bool // the terminal has lost the focus

	form  *form // nil once logged in
	api   api
	world *world
	feed  *feed
	leave context.CancelFunc // ends the feed

	status   client.Status
	online   bool // has been, at least once
	here     *channel
	focus    focus
	composer textarea.Model
	editing  *entry // what the composer changes
	replying *entry // what it answers
	deleting proto.ID
	drafts   map[proto.ID]string // unsent text of other channels
	typed    map[proto.ID]time.Time
	said     notice
	help     bool
	helpAt   int      // its first line shown
	goal     proto.ID // guild to show as soon as it is there
	saved    time.Time
	first    tea.Cmd // what begin wants done
}

// A notice is a word from the program itself, shown until the next one or esc.
type notice struct {
	text string
	bad  bool
}

type tick time.Time

func newModel(ctx context.Context, getenv func(string) string, open func(url, user string) (api, error),
	listen func(context.Context, api, *feed)) *model {
	return &model{ctx: ctx, getenv: getenv, open: open, listen: listen, clock: time.Now, now: time.Now(), width: 80, height: 24,
		composer: newComposer(), drafts: map[proto.ID]string{}, typed: map[proto.ID]time.Time{}, world: newWorld(&marks{read: map[proto.ID]proto.ID{}})}
}

// Init implements tea.Model.
func (m *model) Init() tea.Cmd { return tea.Batch(second(), m.first) }

func second() tea.Cmd { return tea.Tick(time.Second, func(t time.Time) tea.Msg { return tick(t) }) }

// Update implements tea.Model.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	m.now = m.clock()
	cmd := m.update(msg)
	m.layout()
	return m, cmd
}

func (m *model) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
		return nil
	case tick:
		m.expire()
		return tea.Batch(second(), m.save(false))
	case tea.FocusMsg:
		m.away = false
		if m.here != nil {
			m.seen(m.here)
		}
		return nil
	case tea.BlurMsg:
		m.away = true
		return nil
	case tea.KeyPressMsg:
		if msg.String() == "ctrl+q" {
			return m.quit()
		}
		if m.form != nil {
			return m.formKey(msg)
		}
		return m.key(msg)
	case loggedIn:
		return m.onLoggedIn(msg)
	case batch:
		return m.onBatch(msg)
	case ended:
		return m.onEnded(msg)
	case page:
		return m.onPage(msg)
	case sent:
		return m.onSent(msg)
	case again:
		return m.onAgain(msg)
	case done:
		return m.onDone(msg)
	}
	if m.form != nil {
		return m.form.update(msg)
	}
	return m.compose(msg)
}

// enter opens the account: from here on the gateway tells what there is.
func (m *model) enter(a api, user string) tea.Cmd {
	m.form, m.api, m.online, m.status = nil, a, false, client.Status{}
	m.world, m.here, m.focus = newWorld(openMarks(m.getenv, a.URL(), user)), nil, onComposer
	m.world.name = cleanLine(user)
	ctx, leave := context.WithCancel(m.ctx)
	m.leave, m.feed = leave, newFeed(ctx)
	f := m.feed
	go m.listen(ctx, a, f)
	return tea.Batch(f.next(), m.composer.Focus())
}

// exit closes it and shows the form.
func (m *model) exit(why string) tea.Cmd {
	save := m.save(true)
	if m.leave != nil {
		m.leave()
	}
	m.feed, m.here = nil, nil
	m.form = newForm(m.api.URL(), m.world.name)
	m.form.trouble = why
	return tea.Batch(save, m.form.focus())
}

func (m *model) onEnded(e ended) tea.Cmd {
	if e.feed != m.feed || m.ctx.Err() != nil {
		return nil
	}
	if errors.Is(e.err, client.ErrLoggedOut) {
		return m.exit("Your login has ended: log in again.")
	}
	return m.exit(words(e.err))
}

// quit saves what is to be kept and ends the program.
func (m *model) quit() tea.Cmd {
	m.quitting = true
	if m.leave != nil {
		m.leave()
	}
	return tea.Sequence(m.save(true), tea.Quit)
}

const saveEvery = 5 * time.Second

// save writes the read marks, at most every few seconds unless it must be now.
func (m *model) save(now bool) tea.Cmd {
	if !now && m.now.Sub(m.saved) < saveEvery {
		return nil
	}
	m.saved = m.now
	path, read := m.world.marks.path, m.world.marks.snapshot()
	if read == nil {
		return nil
	}
	return func() tea.Msg {
		writeJSON(path, read) // a comfort: without the file everything still works
		return nil
	}
}

// expire forgets who has stopped typing.
func (m *model) expire() {
	for _, ch := range m.world.channels {
		for name, until := range ch.typers {
			if m.now.After(until) {
				delete(ch.typers, name)
			}
		}
	}
}

func (m *model) say(text string)   { m.said = notice{text: text} }
func (m *model) wrong(text string) { m.said = notice{text: text, bad: true} }
