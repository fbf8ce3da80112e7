package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/starling-chat/starling/proto"
)

const (
	userAgent = "DiscordBot (https://github.com/starling-chat/starling, 1) starling-client"
	tries     = 3 // of a call that may be repeated
)

// Call makes one call of the API with the account's token and decodes the answer into out, unless it is nil. path begins after the version.
// A GET is repeated a few times while nobody answers; everything else is sent once, and again only when the token had run out. A 429 is the
// error *RateLimit, other refusals are *proto.Error.
func (c *Client) Call(ctx context.Context, method, path string, body, out any) error {
	ctx, stop := context.WithTimeout(ctx, c.timeout)
	defer stop()
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
	}
	if err := c.repeat(ctx, method, path, text, out); err != nil {
		return &callError{method, path, err}
	}
	return nil
}

func (c *Client) repeat(ctx context.Context, method, path string, body []byte, out any) error {
	refreshed := false
	for try := 1; ; try++ {
		token, err := c.tokens.current(ctx)
		if err != nil {
			return err
		}
		err = c.once(ctx, method, "/api/v10"+path, token, body, out)
		if e, ok := Refused(err); ok && e.Status == http.StatusUnauthorized && !refreshed {
			if err := c.tokens.renew(ctx, token); err != nil {
				return err
			}
			refreshed = true
			continue
		}
		var limit *RateLimit
		if err == nil || method != http.MethodGet || try >= tries || !Temporary(err) || errors.As(err, &limit) {
			return err
		}
		if !sleep(ctx, jitter(time.Duration(try)*250*time.Millisecond)) {
			return err
		}
	}
}

// once makes one request; token is the bare token, empty for none.
func (c *Client) once(ctx context.Context, method, path, token string, body []byte, out any) error {
	var rd io.Reader
	if body != nil {
		rd = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, rd)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", userAgent)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return reason(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return reason(err)
	case len(answer) > maxAnswer:
		return fmt.Errorf("answer of more than %d bytes", maxAnswer)
	case resp.StatusCode >= 300:
		return answerError(resp.StatusCode, resp.Header, answer)
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return &proto.Error{Status: resp.StatusCode, Message: "answer not understood: " + err.Error()}
	}
	return nil
}

// call is Call with a typed answer.
func call[T any](ctx context.Context, c *Client, method, path string, body any) (T, error) {
	var out T
	err := c.Call(ctx, method, path, body, &out)
	return out, err
}

// sleep waits; false means that ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
