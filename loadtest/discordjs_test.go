package loadtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/starling-chat/starling/loadtest/client"
)

const npm = "npm"

// Two unmodified discord.js clients on two edges live a day of chat: discordjs/day.mjs.
func TestDiscordJS(t *testing.T) {
	dir := discordJS(t)
	w := newTown(t, plain.get(t))
	ann, _ := w.bot("ann", true)
	ben, _ := w.bot("ben", true)
	w.runJS(dir, "day", ann, ben)
}

// Unmodified discord.js clients on two edges, without a warning, use all of the surface, and their caches hold what REST tells:
// discordjs/guild.mjs, posts.mjs, people.mjs, gateway.mjs.
func TestDiscordJSStories(t *testing.T) {
	dir := discordJS(t)
	for _, story := range []string{"guild", "posts", "people", "gateway"} {
		t.Run(story, func(t *testing.T) { newTown(t, plain.get(t)).runJS(dir, story) })
	}
}

// discord.js meets 429s, waits and repeats: every message is there once.
func TestDiscordJSRateLimit(t *testing.T) {
	dir := discordJS(t)
	w := newTown(t, limited.get(t))
	bot, _ := w.bot("lima", true)
	w.runJS(dir, "limits", bot)
}

func (w *town) runJS(dir, story string, bots ...client.Bot) {
	w.t.Helper()
	tokens := make([]string, len(bots))
	for i, b := range bots {
		tokens[i] = b.Token
	}
	w.runStory(dir, map[string]any{"story": story, "edges": []string{w.m.HTTP(0), w.m.HTTP(1)}, "tokens": tokens,
		"owner": w.owner.Token, "guild": w.guild.ID, "channel": w.general})
}

// runStory runs one of discordjs/ with what it reads as its configuration.
func (w *town) runStory(dir string, story map[string]any) {
	w.t.Helper()
	cfg, err := json.Marshal(story)
	must(w.t, err)
	cmd := exec.CommandContext(within(w.t, 2*time.Minute), "node", "story.mjs")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "STORY="+string(cfg))
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	for line := range strings.Lines(out.String()) {
		var s struct {
			Step, Note string
			OK         bool
		}
		if json.Unmarshal([]byte(line), &s) != nil || !s.OK {
			w.t.Errorf("discord.js: %s", line)
		}
	}
	if err != nil {
		w.t.Errorf("node: %v\n%s", err, errs.String())
	}
}

// discordJS installs the pinned packages, once per lock file, into the user's cache, and returns the folder with the story in it.
func discordJS(t *testing.T) string {
	t.Helper()
	for _, tool := range []string{"node", npm} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("STARLING_NO_SKIP") != "" {
				t.Fatalf("%s is not installed", tool)
			}
			t.Skipf("NOT RUN: %s is not installed, so nothing is proved about discord.js", tool)
		}
	}
	src, err := filepath.Abs("discordjs")
	must(t, err)
	lock, err := os.ReadFile(filepath.Join(src, "package-lock.json"))
	must(t, err)
	sum := sha256.Sum256(lock)
	cache, err := os.UserCacheDir()
	must(t, err)
	dir := filepath.Join(cache, "starling", "discordjs-"+hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "discord.js")); errors.Is(err, fs.ErrNotExist) {
		must(t, install(within(t, 5*time.Minute), src, dir))
	}
	run := t.TempDir() // stories may have changed though the lock has not
	stories, err := filepath.Glob(filepath.Join(src, "*.mjs"))
	must(t, err)
	for _, from := range stories {
		must(t, copyFile(from, filepath.Join(run, filepath.Base(from))))
	}
	must(t, os.Symlink(filepath.Join(dir, "node_modules"), filepath.Join(run, "node_modules")))
	return run
}

// install runs npm ci beside the final folder and moves it there when it is whole.
func install(ctx context.Context, src, dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "installing-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	for _, name := range []string{"package.json", "package-lock.json", ".npmrc"} {
		if err := copyFile(filepath.Join(src, name), filepath.Join(tmp, name)); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = tmp
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	if err := os.Rename(tmp, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		if _, there := os.Stat(filepath.Join(dir, "node_modules")); there != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o644)
}
