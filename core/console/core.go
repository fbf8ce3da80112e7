package console

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/starling-chat/starling/core/bucket"
	"github.com/starling-chat/starling/core/ownership"
	"github.com/starling-chat/starling/proto"
)

// Core answers GET core.
type Core struct {
	Name    string           `json:"name"`
	Since   time.Time        `json:"since"` // it was started
	Hub     string           `json:"hub"`   // to which it is connected; "" = to none
	Part    ownership.Status `json:"part"`
	Buckets bucket.Sum       `json:"buckets"`
}

func (c *Console) core(context.Context, *http.Request) (any, error) {
	return Core{Name: c.cfg.Owner.Name(), Since: c.cfg.Since, Hub: c.cfg.Hub(), Part: c.cfg.Claims.Status(), Buckets: c.cfg.Owner.Sum()}, nil
}

// Drain is the body of POST drain: to give all buckets away, or with Undo to take part again. The answer is Core, as of then: it has just begun.
type Drain struct {
	Undo bool `json:"undo"`
}

func (c *Console) drain(ctx context.Context, r *http.Request) (any, error) {
	var d Drain
	if err := read(r, &d); err != nil {
		return nil, err
	}
	do := c.cfg.Claims.Drain
	if d.Undo {
		do = c.cfg.Claims.Stay
	}
	if err := do(); err != nil {
		return nil, &mistake{http.StatusConflict, err.Error()}
	}
	return c.core(ctx, r)
}

// Place answers GET buckets/{bucket}: where it is, as far as this core knows.
type Place struct {
	Bucket int `json:"bucket"`
	ownership.Place
}

func (c *Console) place(_ context.Context, r *http.Request) (any, error) {
	n, err := bucketOf(r)
	if err != nil {
		return nil, err
	}
	return Place{n, c.cfg.Claims.Place(n)}, nil
}

// Move is the body of POST buckets/{bucket}/move, of the core that has it: to whom, or with Free where hashing wants it. The answer is Place, as
// of then: it has just begun. 409 asks for another try.
type Move struct {
	To   string `json:"to"`
	Free bool   `json:"free"`
}

func (c *Console) move(ctx context.Context, r *http.Request) (any, error) {
	n, err := bucketOf(r)
	if err != nil {
		return nil, err
	}
	var m Move
	if err := read(r, &m); err != nil {
		return nil, err
	}
	if (m.To == "") != m.Free {
		return nil, wrong("move: want either to or free")
	}
	if m.Free {
		err = c.cfg.Claims.Free(ctx, n)
	} else {
		err = c.cfg.Claims.Move(ctx, n, m.To)
	}
	switch {
	case errors.Is(err, ownership.ErrMoving):
		return nil, &mistake{http.StatusConflict, err.Error()}
	case err != nil:
		return nil, wrong("%v", err)
	}
	return Place{n, c.cfg.Claims.Place(n)}, nil
}

func bucketOf(r *http.Request) (int, error) {
	n, err := strconv.Atoi(r.PathValue("bucket"))
	if err != nil || n < 0 || n >= proto.Buckets {
		return 0, absent("there is no bucket %.40q: they are 0 to %d", r.PathValue("bucket"), proto.Buckets-1)
	}
	return n, nil
}

// read decodes a small body.
func read(r *http.Request, into any) error {
	d := json.NewDecoder(io.LimitReader(r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return wrong("body: %v", err)
	}
	return nil
}
