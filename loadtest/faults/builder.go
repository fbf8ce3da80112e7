package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/starling-chat/starling/loadtest/check"
	"github.com/starling-chat/starling/proto"
)

const (
	buildEvery = 500 * time.Millisecond
	buildMost  = 300 // of guilds' channels, which have limits
)

// A builder makes channels while things break, each asked for once: it need not be made, but it must not be made twice, and one that was
// answered is there.
type builder struct {
	run    *check.Run
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu    sync.Mutex
	asked map[string]proto.ID // by name: the guild
	built map[string]proto.ID // by name: the channel, as answered
}

func startBuilder(run *check.Run) *builder {
	ctx, cancel := context.WithCancel(context.Background())
	b := &builder{run: run, cancel: cancel, asked: map[string]proto.ID{}, built: map[string]proto.ID{}}
	b.wg.Go(func() {
		guilds := run.Guilds()
		for i := 0; i < buildMost && wait(ctx, buildEvery) == nil; i++ {
			b.wg.Go(func() { b.build(guilds[i%len(guilds)], fmt.Sprintf("hut-%d", i)) })
		}
	})
	return b
}

func (b *builder) build(guild proto.ID, name string) {
	b.mu.Lock()
	b.asked[name] = guild
	b.mu.Unlock()
	ch, err := b.run.Owner().Channel(context.Background(), guild, name)
	if err != nil {
		return // not made, or made without a word: check looks
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.built[name] = ch.ID
}

// stop waits for what is under way.
func (b *builder) stop() {
	b.cancel()
	b.wg.Wait()
}

// check compares what was answered with what is there.
func (b *builder) check(ctx context.Context) error {
	var errs []error
	for _, guild := range b.run.Guilds() {
		there, err := b.channels(ctx, guild)
		if err != nil {
			return err
		}
		seen := map[string]proto.ID{}
		for _, ch := range there {
			was, twice := seen[ch.Name]
			_, town := b.asked[ch.Name]
			if twice && town {
				errs = append(errs, fmt.Errorf("guild %s: channel %s is there twice, as %s and %s", guild, ch.Name, was, ch.ID))
			}
			seen[ch.Name] = ch.ID
		}
		for name, of := range b.asked {
			if id := b.built[name]; of == guild && id != 0 && seen[name] != id {
				errs = append(errs, fmt.Errorf("guild %s: channel %s was made as %s and is %s", guild, name, id, seen[name]))
			}
		}
	}
	return errors.Join(errs...)
}

func (b *builder) channels(ctx context.Context, guild proto.ID) (list []proto.Channel, err error) {
	err = until(ctx, healLimit, "channels of "+guild.String(), func(ctx context.Context) (bool, error) {
		a, err := b.run.Owner().Raw(ctx, "GET", "/guilds/"+guild.String()+"/channels", nil)
		if err != nil {
			return false, err
		}
		if a.Status != 200 {
			return false, fmt.Errorf("%d %.200s", a.Status, a.Body)
		}
		return true, json.Unmarshal(a.Body, &list)
	})
	return list, err
}
