package chat

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/starling-chat/starling/loadtest/mesh"
)

func TestMain(m *testing.M) {
	code := m.Run()
	mesh.Clean()
	os.Exit(code)
}

// A person sits at a running program: keys go in as a terminal sends them, the screen is what the model shows.
type person struct {
	t    *testing.T
	keys *io.PipeWriter
	end  chan error

	mu     sync.Mutex
	screen string
	change chan struct{} // closed when screen is replaced
}

type watched struct {
	tea.Model
	p *person
}

func (w watched) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	inner, cmd := w.Model.Update(msg)
	w.p.mu.Lock()
	defer w.p.mu.Unlock()
	w.p.screen = ansi.Strip(inner.View().Content)
	close(w.p.change)
	w.p.change = make(chan struct{})
	return watched{inner, w.p}, cmd
}

func sit(t *testing.T, url, user, home string) *person {
	in, keys := io.Pipe()
	p := &person{t: t, keys: keys, end: make(chan error, 1), change: make(chan struct{})}
	cfg := Config{URL: url, User: user, In: in, Out: io.Discard,
		Env: []string{"TERM=xterm-256color", "XDG_CONFIG_HOME=" + home, "XDG_STATE_HOME=" + home}}
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		p.end <- run(ctx, cfg, func(m tea.Model) tea.Model { return watched{m, p} }, tea.WithWindowSize(90, 30), tea.WithoutSignals())
	}()
	t.Cleanup(func() {
		stop()
		keys.Close()
	})
	return p
}

func (p *person) types(s string) {
	p.t.Helper()
	if _, err := io.WriteString(p.keys, s); err != nil {
		p.t.Fatal(err)
	}
}

// sees waits until the screen matches and gives the first group, or all.
func (p *person) sees(pattern string) string {
	p.t.Helper()
	return p.await("no "+pattern, regexp.MustCompile(pattern).FindStringSubmatch)
}

// gone waits until it does not show a text.
func (p *person) gone(text string) {
	p.t.Helper()
	p.await(text, func(screen string) []string {
		if strings.Contains(screen, text) {
			return nil
		}
		return []string{""}
	})
}

func (p *person) await(what string, match func(screen string) []string) string {
	p.t.Helper()
	for late := time.After(20 * time.Second); ; {
		p.mu.Lock()
		screen, change := p.screen, p.change
		p.mu.Unlock()
		if m := match(screen); m != nil {
			return m[len(m)-1]
		}
		select {
		case <-change:
		case err := <-p.end:
			p.t.Fatalf("the program ended: %v", err)
		case <-late:
			p.t.Fatalf("%s on the screen:\n%s", what, screen)
		}
	}
}

// Alice and Bob meet on two edges of a real mesh, talk, lose the mesh and find it again.
func TestTwoPeopleOnAMesh(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a mesh")
	}
	m, err := mesh.New(mesh.Options{RateLimits: true})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ctx, stop := context.WithTimeout(t.Context(), 60*time.Second)
	defer stop()
	if err := m.Start(ctx); err != nil {
		t.Fatal(err)
	}
	suffix := fmt.Sprintf("%x", time.Now().UnixNano()&0xffffff)
	homes := []string{t.TempDir(), t.TempDir()}
	var people []*person
	for i, name := range []string{"alice_" + suffix, "bob_" + suffix} {
		p := sit(t, m.HTTP(i), name, homes[i])
		p.sees("Log in")
		p.types("\x14") // ctrl+t
		p.sees("Make an account")
		p.types("correct horse\r")
		p.sees("You are in no guild yet")
		people = append(people, p)
	}
	alice, bob := people[0], people[1]
	alice.types("/guild Tea room\r")
	alice.sees("beginning of #general")
	alice.types("/invite\r")
	code := alice.sees(`Others join by +/join (\w+)`)
	bob.types("/join " + code + "\r")
	bob.sees("Message #general")
	bob.types("h")
	alice.sees("bob_" + suffix + " is typing")
	bob.types("ello from bob\r")
	alice.sees("hello from bob")
	alice.types("/reply hello \u4f60\u597d\r")
	bob.sees("hello 你好")
	bob.types("\x1b[A, it is me\r") // up: edit
	alice.sees(`hello from bob, it is me \(edited\)`)

	if err := m.Kill(); err != nil {
		t.Fatal(err)
	}
	alice.sees(`Not connected: .*Next try in \d+ s`)
	alice.types("written in the dark\r")
	alice.sees("again in")
	if err := m.Start(ctx); err != nil {
		t.Fatal(err)
	}
	alice.types("\x0c") // ctrl+l
	bob.types("\x0c")
	bob.sees("written in the dark")

	bob.types("/delete\r")
	alice.gone("it is me (edited)")
	alice.types("\x11") // ctrl+q
	if err := <-alice.end; err != nil {
		t.Errorf("quit: %v", err)
	}
	again := sit(t, "", "", homes[0]) // straight in by the stored login
	again.sees("written in the dark")
	info, err := os.Stat(filepath.Join(homes[0], "starling", "chat.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("login file: %v, %v; want mode 0600", info, err)
	}
}
