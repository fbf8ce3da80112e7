package chat

import (
	"strings"

	"charm.land/bubbles/v2/textinput"
	tea "charm.land/bubbletea/v2"
)

// A form asks for the server and the account.
type form struct {
	fields   [3]textinput.Model // server, name, password
	at       int
	register bool
	busy     bool
	trouble  string
}

// loggedIn is the outcome of the form.
type loggedIn struct {
	api  api
	user string
	err  error
}

func newForm(url, user string) *form {
	f := &form{}
	for i, placeholder := range []string{"http://127.0.0.1:8080", "alice", "at least 8 characters"} {
		t := textinput.New()
		t.Prompt, t.Placeholder, t.CharLimit = "", placeholder, 200
		t.SetVirtualCursor(false)
		t.SetWidth(36)
		f.fields[i] = t
	}
	f.fields[2].EchoMode = textinput.EchoPassword
	f.fields[0].SetValue(url)
	f.fields[1].SetValue(user)
	for f.at < 2 && f.fields[f.at].Value() != "" {
		f.at++
	}
	return f
}

func (f *form) focus() tea.Cmd {
	for i := range f.fields {
		f.fields[i].Blur()
	}
	return f.fields[f.at].Focus()
}

func (f *form) update(msg tea.Msg) tea.Cmd {
	var cmd tea.Cmd
	f.fields[f.at], cmd = f.fields[f.at].Update(msg)
	return cmd
}

func (m *model) formKey(k tea.KeyPressMsg) tea.Cmd {
	f := m.form
	switch k.String() {
	case "ctrl+c", "esc":
		return m.quit()
	case "ctrl+t":
		f.register, f.trouble = !f.register, ""
		return nil
	case "tab", "down":
		f.at = (f.at + 1) % len(f.fields)
		return f.focus()
	case "shift+tab", "up":
		f.at = (f.at + len(f.fields) - 1) % len(f.fields)
		return f.focus()
	case "enter":
		return m.submitForm()
	}
	if f.busy {
		return nil
	}
	return f.update(k)
}

func (m *model) submitForm() tea.Cmd {
	f := m.form
	for i := range f.fields { // the first one that is empty
		if f.fields[i].Value() == "" {
			f.at = i
			return f.focus()
		}
	}
	if f.busy {
		return nil
	}
	f.busy, f.trouble = true, ""
	url, user, password, register := f.fields[0].Value(), strings.ToLower(strings.TrimSpace(f.fields[1].Value())), f.fields[2].Value(), f.register
	open, ctx := m.open, m.ctx
	return func() tea.Msg {
		a, err := open(url, user)
		if err == nil && register {
			_, err = a.Register(ctx, user, password)
		} else if err == nil {
			_, err = a.LogIn(ctx, user, password)
		}
		return loggedIn{a, user, err}
	}
}

func (m *model) onLoggedIn(l loggedIn) tea.Cmd {
	if m.form == nil {
		return nil
	}
	if l.err != nil {
		m.form.busy, m.form.trouble = false, words(l.err)
		return nil
	}
	return m.enter(l.api, l.user)
}

// view renders the form in the middle of the window and says where the cursor is.
func (f *form) view(width, height int) (string, *tea.Cursor) {
	title, other := "Log in", "ctrl+t: I have no account yet"
	if f.register {
		title, other = "Make an account", "ctrl+t: I have an account"
	}
	if f.busy {
		other = "one moment …"
	}
	lines := []string{bold.Render("Starling") + "  " + title, ""}
	var cursor *tea.Cursor
	left := max(0, (width-48)/2)
	for i, label := range []string{"Server", "Name", "Password"} {
		mark := "  "
		if i == f.at {
			mark = accent.Render("› ")
			if c := f.fields[i].Cursor(); c != nil {
				cursor = tea.NewCursor(left+11+c.X, len(lines))
			}
		}
		lines = append(lines, mark+fit(label, 9)+f.fields[i].View())
	}
	lines = append(lines, "")
	for _, l := range wrap(f.trouble, 46) {
		lines = append(lines, bad.Render(l))
	}
	lines = append(lines, "", dim.Render("enter goes on · "+other+" · esc quits"))
	top := max(0, (height-len(lines))/2)
	if cursor != nil {
		cursor.Y += top
	}
	out := make([]string, 0, height)
	for range top {
		out = append(out, "")
	}
	for _, l := range lines {
		out = append(out, fit(strings.Repeat(" ", left)+l, width))
	}
	return strings.Join(out[:min(len(out), height)], "\n"), cursor
}
