package cql

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/starling-chat/starling/proto"
)

// A filling is a page on its way. One goroutine at a time owns it.
type filling struct {
	pageOf
	store   *Store
	channel proto.ID
	n       int
	page    []proto.Message
	covered float64 // how many windows the page so far comes from

	windows []int // that the notes list and that are not read yet, in order
	next    int   // the window from which the notes list more
	last    bool  // they list no more
}

// read fills the page. The window where it begins comes first, as most pages end there, too; for what it lacks, the notes of the windows
// further on are read, and then those windows.
func (f *filling) read(ctx context.Context) ([]proto.Message, error) {
	err := f.begin(ctx)
	for err == nil && len(f.page) < f.n && (len(f.windows) > 0 || !f.last) {
		if len(f.windows) == 0 {
			err = f.note(ctx)
		} else {
			err = f.ahead(ctx)
		}
	}
	return f.page[:min(f.n, len(f.page))], err
}

// begin reads the first window. The newest message is most likely in that of this moment, but only the notes know: they are read beside it.
func (f *filling) begin(ctx context.Context) error {
	if !f.newest {
		window := windowOf(f.from)
		part, err := f.store.window(ctx, f.channel, f.pageOf, window, f.n)
		f.take(window, part)
		f.next = window + f.step
		return err
	}
	var part []proto.Message
	now := windowOf(proto.ID(time.Now().UnixMilli()-proto.Epoch) << 22)
	f.next = windowOf(f.from)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		part, err = f.store.window(ctx, f.channel, f.pageOf, now, f.n)
		return err
	})
	g.Go(func() error { return f.note(ctx) })
	if err := g.Wait(); err != nil {
		return err
	}
	if len(f.windows) > 0 && f.windows[0] == now {
		f.take(now, part)
		f.windows = f.windows[1:]
	}
	return nil
}

// take adds what the first window holds from where the page begins, and how much of the window that is.
func (f *filling) take(window int, part []proto.Message) {
	f.page = append(f.page, part...)
	at := f.from
	if f.newest && len(part) > 0 {
		at = part[0].ID
	}
	low, high := windowSpan(window)
	before := float64(min(at, high)-low) / float64(high-low)
	if f.step > 0 {
		before = 1 - before
	}
	f.covered = before
}

// note reads more of the notes.
func (f *filling) note(ctx context.Context) (err error) {
	if f.windows, err = f.store.windows(ctx, f.notes, f.channel, f.next, notesPage); err != nil {
		return err
	}
	if f.last = len(f.windows) < notesPage; len(f.windows) > 0 {
		f.next = f.windows[len(f.windows)-1] + f.step
	}
	return nil
}

// ahead reads as many windows side by side as those so far let expect to be needed. Windows in which everything was deleted are noted, too,
// and double the number.
func (f *filling) ahead(ctx context.Context) error {
	width, lack := 1, f.n-len(f.page)
	if found := len(f.page); found > 0 {
		width += int(float64(lack) * f.covered / float64(found))
	} else {
		width += int(2 * f.covered)
	}
	width = min(width, len(f.windows), windowsAhead)
	each := 1
	if f.step < 0 { // the other way round a query of several windows does not go: their newest would come first
		each += width / queriesAhead
	}
	parts := make([][]proto.Message, (width+each-1)/each)
	g, ctx := errgroup.WithContext(ctx)
	for i := range parts {
		windows := f.windows[i*each : min((i+1)*each, width)]
		g.Go(func() (err error) {
			if len(windows) == 1 {
				parts[i], err = f.store.window(ctx, f.channel, f.pageOf, windows[0], lack)
			} else {
				parts[i], err = f.store.among(ctx, f.channel, f.pageOf, windows, lack)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	f.page = slices.Concat(append([][]proto.Message{f.page}, parts...)...)
	f.windows, f.covered = f.windows[width:], f.covered+float64(width)
	return nil
}
