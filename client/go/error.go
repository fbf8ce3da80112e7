package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/starling-chat/starling/proto"
)

// maxWait bounds what a server may ask us to wait: beyond it the word is taken for nonsense.
const maxWait = 10 * time.Minute

// A RateLimit is a 429: the call was refused and may be repeated after a while.
type RateLimit struct {
	After  time.Duration
	Global bool // all routes are meant
}

func (r *RateLimit) Error() string {
	return fmt.Sprintf("rate limited for %v", r.After.Round(100*time.Millisecond))
}

// ErrLoggedOut tells that the server knows neither our token nor the refresh token: a person has to log in again.
var ErrLoggedOut = errors.New("logged out")

// Refused tells what the server said, if it was the server that refused.
func Refused(err error) (*proto.Error, bool) {
	var e *proto.Error
	return e, errors.As(err, &e)
}

// Temporary tells whether the same call may succeed a little later: no answer, or one that says so. A POST that may have been carried out
// is repeated safely only with an enforced nonce.
func Temporary(err error) bool {
	if err == nil || errors.Is(err, ErrLoggedOut) {
		return false
	}
	if e, ok := Refused(err); ok {
		return e.Status >= 500
	}
	return true
}

// A callError names the call that failed; people are told only why.
type callError struct {
	method, path string
	err          error
}

func (e *callError) Error() string { return e.method + " " + e.path + ": " + e.err.Error() }
func (e *callError) Unwrap() error { return e.err }

// Words says in one line what went wrong, in words for a person.
func Words(err error) string {
	e, ok := Refused(err)
	if !ok {
		var call *callError
		if errors.As(err, &call) {
			err = call.err
		}
		if errors.Is(err, context.DeadlineExceeded) {
			return "no answer in time"
		}
		return err.Error()
	}
	if field, why := firstField(e.Errors, 0); why != "" {
		return strings.TrimSuffix(field+": "+why, ".")
	}
	return e.Message
}

// firstField finds the first sentence in the errors of 50035, bounded in depth.
func firstField(m map[string]any, depth int) (field, why string) {
	if depth > 8 {
		return "", ""
	}
	for k, v := range m {
		if list, ok := v.([]any); ok && k == "_errors" && len(list) > 0 {
			if one, ok := list[0].(map[string]any); ok {
				why, _ = one["message"].(string)
				return "", why
			}
		}
		if inner, ok := v.(map[string]any); ok {
			if f, why := firstField(inner, depth+1); why != "" {
				if f != "" {
					return k + "." + f, why
				}
				return k, why
			}
		}
	}
	return "", ""
}

// answerError makes an error of an answer from 400 up.
func answerError(status int, h http.Header, body []byte) error {
	e := &proto.Error{}
	if json.Unmarshal(body, e) != nil || e.Message == "" {
		e = &proto.Error{Message: fmt.Sprintf("%d: %s", status, http.StatusText(status))}
	}
	e.Status = status
	if status == http.StatusTooManyRequests {
		after := time.Duration(e.RetryAfter * float64(time.Second))
		if s, err := strconv.Atoi(h.Get("Retry-After")); after <= 0 && err == nil {
			after = time.Duration(s) * time.Second
		}
		return &RateLimit{After: min(max(after, 50*time.Millisecond), maxWait), Global: e.Global != nil && *e.Global}
	}
	return e
}

var errBroken = errors.New("the connection broke")

// reason drops what net/http puts around an error: the URL and the method, which the caller knows.
func reason(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
		return errBroken
	}
	var number syscall.Errno
	if errors.As(err, &number) {
		return number // "connection refused"
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}
