package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scripted answers requests one after another; the last answer stays.
type scripted struct {
	t       *testing.T
	mu      sync.Mutex // tries overlap
	answers []func(ctx context.Context) ([]byte, error)
	sent    []string // subject and body of every try
}

func (b *scripted) Region() string { return "local" }

func (b *scripted) Request(ctx context.Context, subject string, body []byte) ([]byte, error) {
	b.mu.Lock()
	b.sent = append(b.sent, subject+" "+string(body))
	next := b.answers[0]
	if len(b.answers) > 1 {
		b.answers = b.answers[1:]
	}
	b.mu.Unlock()
	return next(ctx)
}

func result(status int32, body string) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) {
		return gproto.Marshal(&pb.Result{Status: status, Body: []byte(body), Sequence: 7})
	}
}

func nobody(context.Context) ([]byte, error) { return nil, fmt.Errorf("request: %w", relay.ErrNobody) }

func silence(ctx context.Context) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func garbage(context.Context) ([]byte, error) { return []byte{0xff, 0xff}, nil }

func command() *pb.Command {
	return &pb.Command{Id: []byte("0123456789abcdef"), Kind: "message.create", Bucket: 17}
}

// The bucket changes hands: nobody serves it, then the new owner is not ready, then one answer is lost. The client sees one answer.
func TestSameCommandUntilAnOwnerAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := &scripted{t: t, answers: []func(context.Context) ([]byte, error){
			nobody, result(503, `{"code":0,"message":"503: Service Unavailable"}`), silence, garbage, result(200, `{"id":"1"}`)}}
		res, err := New(bus, slog.New(slog.DiscardHandler)).Do(t.Context(), command())
		if err != nil || res.Status != 200 || res.Sequence != 7 {
			t.Fatalf("got %v, %v, want 200", res, err)
		}
		if len(bus.sent) != 5 {
			t.Errorf("%d tries, want 5", len(bus.sent))
		}
		for _, s := range bus.sent {
			if s != bus.sent[0] {
				t.Errorf("a try differs: the owner could not know it again")
			}
		}
	})
}

// An owner is slow, as all are whose machine has just woken up: each command waits four seconds for its turn. It is heard all the same.
func TestSlowOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := &scripted{t: t, answers: []func(context.Context) ([]byte, error){func(ctx context.Context) ([]byte, error) {
			select {
			case <-time.After(4 * time.Second):
				return result(200, `{"id":"1"}`)(ctx)
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}}}
		began := time.Now()
		res, err := New(bus, slog.New(slog.DiscardHandler)).Do(t.Context(), command())
		if took := time.Since(began); err != nil || res.Status != 200 || took != 4*time.Second {
			t.Errorf("got %v, %v after %v, want 200 after 4 s", res, err, took)
		}
		if len(bus.sent) != 2 {
			t.Errorf("%d tries, want one more for the case that the first was swallowed", len(bus.sent))
		}
	})
}

func TestErrorsOfTheOwnerAreFinal(t *testing.T) {
	for _, c := range []struct {
		status int32
		body   string
		want   proto.Error
	}{
		{403, `{"code":50013,"message":"Missing Permissions"}`, proto.Error{Status: 403, Code: 50013, Message: "Missing Permissions"}},
		{500, `broken`, proto.Error{Status: 500, Message: "500: Internal Server Error"}},
		{404, ``, proto.Error{Status: 404, Message: "404: Not Found"}},
	} {
		bus := &scripted{t: t, answers: []func(context.Context) ([]byte, error){result(c.status, c.body)}}
		_, err := New(bus, slog.New(slog.DiscardHandler)).Do(t.Context(), command())
		var got *proto.Error
		if !errors.As(err, &got) || got.Status != c.want.Status || got.Code != c.want.Code || got.Message != c.want.Message {
			t.Errorf("got %v, want %v", err, &c.want)
		}
		if len(bus.sent) != 1 {
			t.Errorf("%d tries, want 1", len(bus.sent))
		}
	}
}

func TestDeadline(t *testing.T) {
	for name, answer := range map[string]func(context.Context) ([]byte, error){"nobody": nobody, "silence": silence, "busy": result(503, "")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bus := &scripted{t: t, answers: []func(context.Context) ([]byte, error){answer}}
				began := time.Now()
				_, err := New(bus, slog.New(slog.DiscardHandler)).Do(t.Context(), command())
				if !errors.Is(err, proto.ErrUnavailable) {
					t.Errorf("got %v, want ErrUnavailable", err)
				}
				if took := time.Since(began); took > Patience {
					t.Errorf("took %v, want %v at most: the shortest client gives up at 10 s", took, Patience)
				}
				if len(bus.sent) < 3 || len(bus.sent) > 60 {
					t.Errorf("%d tries, want a few with back-off between", len(bus.sent))
				}
			})
		})
	}
}

func TestCallersDeadlineIsShorter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := &scripted{t: t, answers: []func(context.Context) ([]byte, error){nobody}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		cmd, began := command(), time.Now()
		if _, err := New(bus, slog.New(slog.DiscardHandler)).Do(ctx, cmd); !errors.Is(err, proto.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
		if took := time.Since(began); took != time.Second || cmd.DeadlineMs != began.Add(time.Second).UnixMilli() {
			t.Errorf("took %v with deadline %d, want 1 s", took, cmd.DeadlineMs)
		}
	})
}

func TestBadCommandIsNotSent(t *testing.T) {
	bus := &scripted{t: t}
	d := New(bus, slog.New(slog.DiscardHandler))
	for _, cmd := range []*pb.Command{{Id: []byte("short")}, {Id: make([]byte, 16), Bucket: proto.Buckets}} {
		if _, err := d.Do(t.Context(), cmd); err == nil || len(bus.sent) != 0 {
			t.Errorf("got %v after %d tries, want refusal", err, len(bus.sent))
		}
	}
}

// The owner is in this process: nothing goes over the bus, until the bucket moves on while a command waits, and the next owner answers that. An owner that
// took a command and died with it is asked over the bus, too.
func TestOwnerIsNear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := &scripted{t: t, answers: []func(context.Context) ([]byte, error){result(200, `{"id":"far"}`)}}
		d := New(bus, slog.New(slog.DiscardHandler))
		answers := []func(context.Context) ([]byte, error){result(200, `{"id":"near"}`), result(core.StatusMoved, ""), silence}
		d.Near = func(bucket int, body []byte, reply func([]byte)) bool {
			if bucket != 17 || len(answers) == 0 || len(body) == 0 {
				return false
			}
			next := answers[0]
			answers = answers[1:]
			go func() {
				if b, err := next(t.Context()); err == nil {
					reply(b)
				}
			}()
			if len(answers) == 1 { // it moved
				answers = nil
			}
			return true
		}
		for i, want := range []string{`{"id":"near"}`, `{"id":"far"}`, `{"id":"far"}`} {
			if i == 2 {
				answers = []func(context.Context) ([]byte, error){silence}
			}
			if res, err := d.Do(t.Context(), command()); err != nil || string(res.Body) != want {
				t.Errorf("command %d: got %v, %v, want %s", i, res, err, want)
			}
			if len(bus.sent) != i {
				t.Errorf("%d commands went over the bus after command %d", len(bus.sent), i)
			}
		}
	})
}
