package chat

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strings"

	tea "charm.land/bubbletea/v2"

	client "github.com/starling-chat/starling/client/go"
)

// A Config of the program.
type Config struct {
	URL  string // of a server; empty: the last one used
	User string // name; empty: the last one used there
	TLS  *tls.Config
	In   io.Reader // nil: the terminal
	Out  io.Writer // nil: the terminal
	Env  []string  // as os.Environ gives it
}

// Run shows the client until its user leaves or ctx ends.
func Run(ctx context.Context, cfg Config) error {
	return run(ctx, cfg, func(m tea.Model) tea.Model { return m })
}

// run is Run with something between the program and the model.
func run(ctx context.Context, cfg Config, around func(tea.Model) tea.Model, options ...tea.ProgramOption) error {
	getenv := func(name string) string {
		for _, e := range cfg.Env {
			if v, ok := strings.CutPrefix(e, name+"="); ok {
				return v
			}
		}
		return ""
	}
	ring, err := openKeyring(getenv)
	if err != nil {
		return err
	}
	if cfg.URL != "" {
		if cfg.URL, err = client.BaseURL(cfg.URL); err != nil {
			return err
		}
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	m := newModel(ctx, getenv, func(url, user string) (api, error) { return dial(ring, cfg.TLS, url, user) }, listenTo)
	if err := m.begin(ring, cfg.URL, cfg.User); err != nil {
		return err
	}
	options = append(options, tea.WithContext(ctx), tea.WithEnvironment(environment(cfg.Env)))
	if cfg.In != nil {
		options = append(options, tea.WithInput(cfg.In))
	}
	if cfg.Out != nil {
		options = append(options, tea.WithOutput(cfg.Out))
	}
	_, err = tea.NewProgram(around(m), options...).Run()
	if errors.Is(err, tea.ErrInterrupted) || ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("terminal: %w", err)
	}
	return nil
}

// environment is env with NO_COLOR as no-color.org means it: any value that is not empty.
func environment(env []string) []string {
	out := make([]string, 0, len(env))
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, "NO_COLOR="); ok && v != "" {
			e = "NO_COLOR=1"
		}
		out = append(out, e)
	}
	return out
}

func dial(ring *keyring, config *tls.Config, url, user string) (api, error) {
	base, err := client.BaseURL(url)
	if err != nil {
		return nil, err
	}
	return client.New(client.Config{URL: base, TLS: config, Tokens: &seat{ring: ring, url: base, user: user}})
}

// begin takes the stored login that fits, or shows the form.
func (m *model) begin(ring *keyring, url, user string) error {
	l, ok, err := ring.find(url, strings.ToLower(user))
	if err != nil {
		return fmt.Errorf("stored logins: %w", err)
	}
	if !ok {
		m.form = newForm(url, user)
		m.first = m.form.focus()
		return nil
	}
	a, err := m.open(l.URL, l.User)
	if err != nil {
		return err
	}
	m.first = m.enter(a, l.User)
	return nil
}
