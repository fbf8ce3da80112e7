package seed

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

const (
	maxAnswer = 1 << 20         // bytes; a guild with every channel is far smaller
	maxWait   = 2 * time.Minute // for one call, all its repeats included
	busyWait  = 250 * time.Millisecond
)

// client calls the API, repeating what is refused for a while.
type client struct {
	base string
	http *http.Client
	step func()
}

// call sends body as JSON and decodes the answer into out, if not nil. A 429 is repeated when it says so, a 502, 503 or 504 soon.
func (c *client) call(ctx context.Context, method, path, token string, body, out any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	for {
		status, answer, wait, err := c.once(ctx, method, path, token, text)
		switch {
		case err != nil:
			return fmt.Errorf("%s %s: %w", method, path, err)
		case status == http.StatusTooManyRequests:
			// wait is what the answer says
		case status == http.StatusBadGateway, status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout:
			wait = max(wait, busyWait)
		case status >= 300:
			return fmt.Errorf("%s %s: status %d: %.300s", method, path, status, answer)
		default:
			if out != nil {
				if err := json.Unmarshal(answer, out); err != nil {
					return fmt.Errorf("%s %s: answer: %w", method, path, err)
				}
			}
			if c.step != nil {
				c.step()
			}
			return nil
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return fmt.Errorf("%s %s: status %d, and then: %w", method, path, status, ctx.Err())
		}
	}
}

func (c *client) once(ctx context.Context, method, path, token string, body []byte) (status int, answer []byte, wait time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "starling-seed")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, 0, err
	}
	defer resp.Body.Close()
	if answer, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer)); err != nil {
		return 0, nil, 0, err
	}
	return resp.StatusCode, answer, retryAfter(resp.Header, answer), nil
}

// retryAfter reads how long a 429 asks for: exactly from the body, else in whole seconds from the header.
func retryAfter(h http.Header, body []byte) time.Duration {
	var b struct {
		RetryAfter float64 `json:"retry_after"`
	}
	if json.Unmarshal(body, &b) == nil && b.RetryAfter > 0 {
		return min(time.Duration(b.RetryAfter*float64(time.Second))+time.Millisecond, maxWait)
	}
	if s, err := strconv.Atoi(h.Get("Retry-After")); err == nil && s > 0 {
		return min(time.Duration(s)*time.Second, maxWait)
	}
	return busyWait
}
