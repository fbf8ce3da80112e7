// Package dispatch brings commands to the owners of their buckets and holds on while a bucket changes hands: the same id again and again
// until the command's deadline. It is not the owner (core/bucket), and it decides nothing about a command.
package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
)

// How long and how often a command is tried.
const (
	Patience   = 9500 * time.Millisecond // the shortest client time-out is 10 s
	tryTimeout = 2500 * time.Millisecond // an owner that died with the command in hand answers nothing: ask its successor, too
	backoffMin = 20 * time.Millisecond
	backoffMax = 200 * time.Millisecond
)

var retries = promauto.NewCounterVec(prometheus.CounterOpts{Name: "starling_dispatch_retries_total",
	Help: "Commands sent again, by reason: nobody, timeout, unavailable, moved, other."}, []string{"reason"})

var unanswered = promauto.NewCounter(prometheus.CounterOpts{Name: "starling_dispatch_unanswered_total",
	Help: "Commands given up at their deadline: whoever sent them was told 503."})

func init() { // so that rules see what has not happened yet
	for _, reason := range []string{"nobody", "timeout", "unavailable", "moved", "other"} {
		retries.WithLabelValues(reason)
	}
}

// A Bus is what a Dispatcher needs of relay.Bus.
type Bus interface {
	Region() string
	Request(ctx context.Context, subject string, body []byte) ([]byte, error)
}

// A Dispatcher sends commands. Any goroutine may call it.
type Dispatcher struct {
	// Now is the clock that owners judge deadlines by: the log's own, which need not be that of this machine. To be set before the first call.
	Now func() time.Time
	// Near, if set, takes a command of a bucket that this very process owns, and says so; the answer may come at any time, or never. It saves the way
	// through the hub. To be set before the first call.
	Near func(bucket int, body []byte, reply func([]byte)) bool

	bus      Bus
	patience time.Duration
	log      *slog.Logger
	warned   atomic.Int64 // Unix seconds: an outage is a line a second, not one for each command
}

// New makes a Dispatcher on a connection to the hub.
func New(bus Bus, log *slog.Logger) *Dispatcher {
	return &Dispatcher{Now: time.Now, bus: bus, patience: Patience, log: log}
}

// Do sends a command to the owner of cmd.Bucket and waits for its result. It sets the deadline, if the caller did not, to the end of ctx
// or of Patience, whichever is earlier, and repeats the same bytes until then: while nobody serves the bucket, no answer comes, or the
// owner says 503. A result from 400 up becomes a *proto.Error; so does a deadline that passed, wrapped: proto.ErrUnavailable, and
// then nobody can say whether the command was executed.
func (d *Dispatcher) Do(ctx context.Context, cmd *pb.Command) (*pb.Result, error) {
	if len(cmd.Id) != 16 || cmd.Bucket >= proto.Buckets {
		return nil, fmt.Errorf("command %s: id of %d bytes, bucket %d", cmd.Kind, len(cmd.Id), cmd.Bucket)
	}
	deadline := time.Now().Add(d.patience)
	if end, ok := ctx.Deadline(); ok && end.Before(deadline) {
		deadline = end
	}
	if cmd.DeadlineMs == 0 {
		cmd.DeadlineMs = d.Now().Add(time.Until(deadline)).UnixMilli()
	} else if end := time.Now().Add(time.UnixMilli(cmd.DeadlineMs).Sub(d.Now())); end.Before(deadline) {
		deadline = end
	}
	body, err := gproto.Marshal(cmd)
	if err != nil {
		return nil, fmt.Errorf("command %s: %w", cmd.Kind, err)
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()

	tries := relay.NewTries(ctx)
	defer tries.Close()
	wait := backoffMin
	for moves := 0; ; {
		res, err := d.try(tries, int(cmd.Bucket), body)
		if err == nil {
			if res.Status >= 400 {
				return nil, asError(res)
			}
			return res, nil
		}
		retries.WithLabelValues(reasonOf(err)).Inc()
		if errors.Is(err, errMoved) && moves < 3 { // the new owner serves already
			moves++
			continue
		}
		select {
		case <-ctx.Done():
			unanswered.Inc()
			if now, last := time.Now().Unix(), d.warned.Load(); now != last && d.warned.CompareAndSwap(last, now) {
				d.log.Warn("command not answered in time", "kind", cmd.Kind, "bucket", cmd.Bucket, "err", err)
			}
			return nil, fmt.Errorf("command %s to bucket %d: %w (%w)", cmd.Kind, cmd.Bucket, proto.ErrUnavailable, err)
		case <-time.After(wait/2 + rand.N(wait)): // spread: a whole region retries at once when an owner dies
		}
		wait = min(2*wait, backoffMax)
	}
}

var (
	errBusyOwner = errors.New("the owner cannot execute it now")
	errMoved     = errors.New("another owner has the bucket")
)

// try sends once more. Its errors are all worth another try.
func (d *Dispatcher) try(tries *relay.Tries, bucket int, body []byte) (*pb.Result, error) {
	answer, err := tries.Next(tryTimeout, func(ctx context.Context) ([]byte, error) { return d.ask(ctx, bucket, body) })
	if err != nil {
		return nil, err
	}
	var res pb.Result
	if err := gproto.Unmarshal(answer, &res); err != nil {
		return nil, fmt.Errorf("result: %w", err)
	}
	switch {
	case res.Status == http.StatusServiceUnavailable:
		return nil, errBusyOwner
	case res.Status == core.StatusMoved:
		return nil, errMoved
	case res.Status < 200 || res.Status > 599:
		return nil, fmt.Errorf("result: status %d", res.Status)
	}
	return &res, nil
}

// ask brings the command to whoever owns the bucket now.
func (d *Dispatcher) ask(ctx context.Context, bucket int, body []byte) ([]byte, error) {
	if d.Near != nil {
		in := make(chan []byte, 1)
		if d.Near(bucket, body, func(answer []byte) { in <- answer }) {
			select {
			case answer := <-in:
				return answer, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}
	return d.bus.Request(ctx, relay.CommandSubject(d.bus.Region(), bucket), body)
}

func asError(res *pb.Result) error {
	e := &proto.Error{}
	if err := json.Unmarshal(res.Body, e); err != nil || e.Message == "" {
		*e = proto.Error{Message: fmt.Sprintf("%d: %s", res.Status, http.StatusText(int(res.Status)))}
	}
	e.Status = int(res.Status)
	return e
}

func reasonOf(err error) string {
	switch {
	case errors.Is(err, relay.ErrNobody):
		return "nobody"
	case errors.Is(err, relay.ErrSilent), errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, errBusyOwner):
		return "unavailable"
	case errors.Is(err, errMoved):
		return "moved"
	}
	return "other"
}
