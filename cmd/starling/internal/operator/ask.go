package operator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/starling-chat/starling/cmd/starling/internal/admin"
)

// maxAnswer bounds what is read of one page.
const maxAnswer = 64 << 20

// errSilent tells a role that did not answer from one that refused.
var errSilent = errors.New("does not answer")

// A refusal is an answer from 400 up.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

// ask calls one page and decodes its answer.
func (d *Desk) ask(ctx context.Context, p place, method, path string, body, into any) error {
	var in io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		in = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, p.base+"/admin/v1/"+path, in)
	if err != nil {
		return err
	}
	req.Header.Set(admin.Header, "1")
	resp, err := d.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%s %w%s", p, errSilent, reason(err))
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("%s %w: %w", p, errSilent, err)
	case len(text) > maxAnswer:
		return fmt.Errorf("%s: %s: the answer is too long", p.name, path)
	case resp.StatusCode >= 400:
		return refused(p, resp.StatusCode, text)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: no answer of an admin page: %w", p, err)
	}
	return nil
}

func refused(p place, status int, text []byte) error {
	var f struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(text, &f) == nil && f.Error != "" {
		return &refusal{status, fmt.Sprintf("%s: %s", p.name, clean(f.Error))}
	}
	if status == http.StatusNotFound {
		return &refusal{0, fmt.Sprintf("%s has no such page: it is another version, or no role of starling", p)}
	}
	return &refusal{status, fmt.Sprintf("%s: status %d", p, status)}
}

func reason(err error) string {
	var u *url.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return ": nobody listens there (did the mesh stop?)"
	case errors.As(err, &u):
		return ": " + u.Err.Error()
	}
	return ": " + err.Error()
}

// askCore asks any core: the next one where one does not answer.
func (d *Desk) askCore(ctx context.Context, method, path string, body, into any) error {
	cores, err := d.need("core")
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range cores {
		err := d.ask(ctx, p, method, path, body, into)
		if !errors.Is(err, errSilent) {
			return err
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// query makes "path?name=value&..." of pairs, leaving out empty values.
func query(path string, pairs ...string) string {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	return strings.TrimSuffix(path+"?"+v.Encode(), "?")
}

// An answer of one of several places.
type answer[T any] struct {
	from place
	v    T
	err  error
}

// askEach asks all places at once; answers are in their order.
func askEach[T any](places []place, ask func(p place, into *T) error) []answer[T] {
	answers := make([]answer[T], len(places))
	var done sync.WaitGroup
	for i, p := range places {
		answers[i].from = p
		done.Go(func() { answers[i].err = ask(p, &answers[i].v) })
	}
	done.Wait()
	return answers
}

// askAll asks all places for a page. The error joins those of places that did not answer.
func askAll[T any](ctx context.Context, d *Desk, places []place, path string) ([]T, error) {
	var good []T
	errs := slices.Clone(d.silent)
	for _, a := range askEach(places, func(p place, into *T) error { return d.ask(ctx, p, "GET", path, nil, into) }) {
		if a.err != nil {
			errs = append(errs, a.err)
			continue
		}
		good = append(good, a.v)
	}
	return good, errors.Join(errs...)
}

// soon is how long a role may take to tell of itself.
const soon = 3 * time.Second

// askSoon is ask for what a role knows by heart: one that is stopped is not waited for.
func (d *Desk) askSoon(ctx context.Context, p place, method, path string, body, into any) error {
	limited, cancel := context.WithTimeout(ctx, soon)
	defer cancel()
	err := d.ask(limited, p, method, path, body, into)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("%s %w: nothing for %s (is it stopped, or starved?)", p, errSilent, soon)
	}
	return err
}
