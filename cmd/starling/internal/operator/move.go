package operator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/starling-chat/starling/core/console"
)

const (
	moveLimit = 30 * time.Second // a bucket that cannot be moved by then needs another look
	moveEvery = 50 * time.Millisecond
)

// A Moved says what became of a bucket that was to move.
type Moved struct {
	Bucket int     `json:"bucket"`
	From   string  `json:"from"`
	To     string  `json:"to"`
	Pinned bool    `json:"pinned"`
	Took   float64 `json:"took"` // seconds
}

// MoveBucket gives a bucket to a core and waits until that one serves it; it stays there for as long as the core lives. With to "" it goes
// where hashing wants it.
func (d *Desk) MoveBucket(ctx context.Context, bucket int, to string) error {
	began := time.Now()
	limited, cancel := context.WithTimeout(ctx, moveLimit)
	defer cancel()
	from, err := d.place(limited, bucket)
	if err != nil {
		return err
	}
	var last error
	for at := from; ; {
		if last = d.beginMove(limited, at, to); last == nil {
			break
		}
		if no := (*refusal)(nil); !errors.As(last, &no) || no.status != http.StatusConflict {
			return last
		}
		if !pause(limited, moveEvery) {
			return fmt.Errorf("bucket %d has not begun to move after %s: %w", bucket, moveLimit, last)
		}
		if at, err = d.place(limited, bucket); err != nil {
			return err
		}
	}
	for at := from; ; {
		if at, err = d.placeAtOwner(limited, bucket); err == nil {
			goal := to
			if to == "" {
				goal = at.Wanted
			}
			if at.Core == goal && at.Mine && at.Pinned == (to != "") {
				return d.moved(Moved{bucket, from.Core, at.Core, at.Pinned, time.Since(began).Seconds()})
			}
		}
		if !pause(limited, moveEvery) {
			return fmt.Errorf("bucket %d is of core %s after %s: it goes on moving, look with starling admin buckets %d", bucket, at.Core, moveLimit, bucket)
		}
	}
}

// beginMove asks the core that has the bucket.
func (d *Desk) beginMove(ctx context.Context, at console.Place, to string) error {
	if at.Core == "" {
		return &refusal{http.StatusConflict, fmt.Sprintf("bucket %d is nobody's at the moment", at.Bucket)}
	}
	p, err := d.named("core", at.Core)
	if err != nil {
		return fmt.Errorf("bucket %d is of core %s, and its page is not known: %w", at.Bucket, at.Core, err)
	}
	return d.ask(ctx, p, "POST", fmt.Sprintf("buckets/%d/move", at.Bucket), console.Move{To: to, Free: to == ""}, &at)
}

// place asks any core where a bucket is.
func (d *Desk) place(ctx context.Context, bucket int) (at console.Place, err error) {
	err = d.askCore(ctx, "GET", fmt.Sprintf("buckets/%d", bucket), nil, &at)
	return at, err
}

// placeAtOwner asks the core that has the bucket by what any core says: that one knows whether it serves it.
func (d *Desk) placeAtOwner(ctx context.Context, bucket int) (console.Place, error) {
	at, err := d.place(ctx, bucket)
	if err != nil || at.Mine {
		return at, err
	}
	p, err := d.named("core", at.Core)
	if err != nil {
		return at, err
	}
	return at, d.ask(ctx, p, "GET", fmt.Sprintf("buckets/%d", bucket), nil, &at)
}

func (d *Desk) moved(m Moved) error {
	t := &table{head: "BUCKET\tFROM\tTO\tSTAYS\tTOOK"}
	stays := "while that core lives"
	if !m.Pinned {
		stays = "where hashing wants it"
	}
	t.add(m.Bucket, m.From, m.To, stays, time.Duration(m.Took*float64(time.Second)).Round(time.Millisecond))
	if m.From == m.To {
		t.foot = fmt.Sprintf("bucket %d was there already", m.Bucket)
	}
	return d.show(m, t)
}

// pause waits; false if ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
