package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/starling-chat/starling/loadtest/shape"
	"github.com/starling-chat/starling/proto"
)

// A REST client of one account at one edge. Any goroutine may use it.
type REST struct {
	Base  string // http://host:port/api/v10
	Token string // as it goes out, "Bot x.y.z" or a JWT; empty for none
	HTTP  *http.Client
	Tell  func(problem string)
}

// IdleTime is how long a connection may wait in a client's pool. An edge closes one that has said nothing for 5 s, among them those that net/http opened
// ahead and did not need: a call on such a one, at that very moment, ends in EOF, and net/http repeats no POST.
const IdleTime = 3 * time.Second

// NewREST makes a client without an account. edge is http://host:port.
func NewREST(edge string, tell func(problem string)) *REST {
	if tell == nil {
		tell = func(string) {}
	}
	return &REST{Base: edge + "/api/v10", HTTP: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: IdleTime}},
		Tell: tell}
}

// As is r with another token.
func (r *REST) As(token string) *REST {
	c := *r
	c.Token = token
	return &c
}

// At is r at another edge.
func (r *REST) At(edge string) *REST {
	c := *r
	c.Base = edge + "/api/v10"
	return &c
}

// An Answer is what came back, whatever its status.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Raw makes one request. body: nil for none, a string as it is, anything else as JSON. The answer is compared with its shape.
func (r *REST) Raw(ctx context.Context, method, path string, body any) (*Answer, error) {
	var rd io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		rd = strings.NewReader(b)
	default:
		j, err := json.Marshal(b)
		if err != nil {
			return nil, err
		}
		rd = bytes.NewReader(j)
	}
	req, err := http.NewRequestWithContext(ctx, method, r.Base+path, rd)
	if err != nil {
		return nil, err
	}
	if rd != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.Token != "" {
		req.Header.Set("Authorization", r.Token)
	}
	req.Header.Set("User-Agent", "DiscordBot (https://example.invalid, 1)")
	resp, err := r.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	for _, p := range shape.Answer(method, path, resp.StatusCode, resp.Header, b) {
		r.Tell(p)
	}
	return &Answer{Status: resp.StatusCode, Header: resp.Header, Body: b}, nil
}

// Call makes one request and decodes a 2xx answer into out (unless nil); other answers are errors of type *proto.Error.
func (r *REST) Call(ctx context.Context, method, path string, body, out any) error {
	a, err := r.Raw(ctx, method, path, body)
	if err != nil {
		return err
	}
	if a.Status >= 300 {
		e := &proto.Error{}
		if err := json.Unmarshal(a.Body, e); err != nil {
			e.Message = string(a.Body)
		}
		e.Status = a.Status
		return fmt.Errorf("%s %s: %w", method, path, e)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(a.Body, out); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}
