package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto/pb"
)

const apiPrefix = "$JS." + Region + ".API."

// api splits a subject of JetStream's API; op is "" for any other subject.
func (w *World) api(subject string) (s *stream, op string) {
	rest, ok := strings.CutPrefix(subject, apiPrefix)
	if !ok {
		return nil, ""
	}
	at := strings.LastIndexByte(rest, '.')
	return w.streams[rest[at+1:]], rest[:at]
}

// serveAPI answers with one message.
func (w *World) serveAPI(s *stream, op string, body []byte, reply func(*nats.Msg, error)) {
	switch {
	case s == nil:
		reply(nil, nats.ErrNoResponders)
	case op == "DIRECT.GET":
		reply(s.direct(body)[0], nil)
	case op != "STREAM.MSG.GET":
		panic("sim: nobody serves " + op)
	case !s.led:
		if w.chance(50) {
			reply(nil, nats.ErrNoResponders)
		}
	default:
		reply(s.leaderGet(body), nil)
	}
}

// A get is what the log asks for.
type get struct {
	Seq       uint64     `json:"seq"`
	NextFor   string     `json:"next_by_subj"`
	LastFor   string     `json:"last_by_subj"`
	MultiLast []string   `json:"multi_last"`
	Batch     int        `json:"batch"`
	StartTime *time.Time `json:"start_time"`
}

func (s *stream) leaderGet(body []byte) *nats.Msg {
	var g get
	if err := json.Unmarshal(body, &g); err != nil {
		panic(err)
	}
	for i := len(s.all) - 1; i >= s.gone; i-- {
		if x := s.all[i]; x.subject == g.LastFor {
			answer, _ := json.Marshal(map[string]any{"message": map[string]any{"subject": x.subject, "seq": x.Sequence, "data": x.data, "time": x.At}})
			return &nats.Msg{Data: answer}
		}
	}
	return refusal(codeNoMessage, "no message found")
}

// direct answers as any hub does that keeps the stream.
func (s *stream) direct(body []byte) []*nats.Msg {
	var g get
	if err := json.Unmarshal(body, &g); err != nil {
		panic(err)
	}
	n := s.view()
	there := s.all[min(s.gone, n):n]
	none := []*nats.Msg{status("404", nil)}
	switch {
	case g.MultiLast != nil:
		var last []*Stored
		for i := len(there) - 1; i >= 0; i-- {
			x := there[i]
			if x.Sequence >= g.Seq && slices.ContainsFunc(g.MultiLast, func(p string) bool { return matches(p, x.subject) }) && !has(last, x.subject) {
				last = append([]*Stored{x}, last...)
			}
		}
		if len(last) == 0 {
			return none
		}
		return many(last, 0, s.all[n-1].Sequence)
	case g.LastFor != "":
		for i := len(there) - 1; i >= 0; i-- {
			if there[i].subject == g.LastFor {
				return []*nats.Msg{there[i].message(nil)}
			}
		}
		return none
	}
	var fit []*Stored
	for _, x := range there {
		if x.subject == g.NextFor && x.Sequence >= g.Seq && (g.StartTime == nil || !x.At.Before(*g.StartTime)) {
			fit = append(fit, x)
		}
	}
	if len(fit) == 0 {
		return none
	}
	send := fit[:min(len(fit), max(g.Batch, 1))]
	return many(send, len(fit)-len(send), 0)
}

func has(list []*Stored, subject string) bool {
	for _, x := range list {
		if x.subject == subject {
			return true
		}
	}
	return false
}

// many are the messages of an answer and the mark behind them.
func many(list []*Stored, pending int, upTo uint64) []*nats.Msg {
	var out []*nats.Msg
	var last uint64
	for i, x := range list {
		out = append(out, x.message(map[string]uint64{"Nats-Num-Pending": uint64(pending + len(list) - 1 - i), "Nats-Last-Sequence": last}))
		last = x.Sequence
	}
	end := map[string]uint64{"Nats-Num-Pending": uint64(pending), "Nats-Last-Sequence": last}
	if upTo > 0 {
		end["Nats-UpTo-Sequence"] = upTo
	}
	return append(out, status("204", end))
}

func (x *Stored) message(numbers map[string]uint64) *nats.Msg {
	m := status("", numbers)
	m.Data = x.data
	m.Header.Set("Nats-Subject", x.subject)
	m.Header.Set("Nats-Sequence", strconv.FormatUint(x.Sequence, 10))
	m.Header.Set("Nats-Time-Stamp", x.At.UTC().Format(time.RFC3339Nano))
	return m
}

func status(code string, numbers map[string]uint64) *nats.Msg {
	m := nats.NewMsg("")
	if code != "" {
		m.Header.Set("Status", code)
	}
	for name, n := range numbers {
		m.Header.Set(name, strconv.FormatUint(n, 10))
	}
	return m
}

// answerMany sends the messages of an answer to an inbox: all, or what the network leaves of them.
func (w *World) answerMany(c *Conn, key, inbox string, ms []*nats.Msg) {
	c.back(key, func() {
		data := len(ms) - 1
		switch {
		case data > 0 && w.chance(w.Chances.Short):
			w.Counts.Short++
			ms = ms[:w.rng.IntN(len(ms))]
			w.Note("cut short to %d", len(ms))
		case data > 0 && w.chance(w.Chances.Hole):
			w.Counts.Holes++
			at := w.rng.IntN(data)
			ms = append(append([]*nats.Msg{}, ms[:at]...), ms[at+1:]...)
			w.Note("without message %d", at)
		}
		c.w.mu.Lock()
		var to *sub
		for _, s := range c.subs {
			if matches(s.subject, inbox) {
				to = s
			}
		}
		c.w.mu.Unlock()
		if to == nil {
			return
		}
		for _, m := range ms {
			m.Subject = inbox
			to.take(m)
		}
	})
}

// JetStream implements relay.Wire.
func (c *Conn) JetStream(string) (jetstream.JetStream, error) { return &api{c: c}, nil }

// An api is what the log uses to make streams and look at them.
type api struct {
	jetstream.JetStream
	c *Conn
}

// A handle is a stream as it was.
type handle struct {
	jetstream.Stream
	info *jetstream.StreamInfo
}

// CachedInfo of the stream.
func (h *handle) CachedInfo() *jetstream.StreamInfo { return h.info }

func (s *stream) handle() *handle {
	return &handle{info: &jetstream.StreamInfo{Config: s.cfg, TimeStamp: time.Now()}}
}

// Stream looks at one.
func (a *api) Stream(ctx context.Context, name string) (jetstream.Stream, error) {
	return ask(ctx, a.c, "STREAM.INFO "+name, func(reply func(jetstream.Stream, error)) {
		s := a.c.w.streams[name]
		switch {
		case s == nil:
			reply(nil, jetstream.ErrStreamNotFound)
		case s.led:
			reply(s.handle(), nil)
		}
	})
}

// CreateStream makes one.
func (a *api) CreateStream(ctx context.Context, cfg jetstream.StreamConfig) (jetstream.Stream, error) {
	return ask(ctx, a.c, "STREAM.CREATE "+cfg.Name, func(reply func(jetstream.Stream, error)) {
		w := a.c.w
		if w.streams[cfg.Name] != nil {
			reply(nil, &jetstream.APIError{Code: 400, ErrorCode: codeNameInUse, Description: "stream name already in use"})
			return
		}
		w.made++
		s := &stream{w: w, name: cfg.Name, number: w.made, cfg: cfg, led: true}
		w.streams[cfg.Name] = s
		reply(s.handle(), nil)
	})
}

// UpdateStream changes one.
func (a *api) UpdateStream(ctx context.Context, cfg jetstream.StreamConfig) (jetstream.Stream, error) {
	return ask(ctx, a.c, "STREAM.UPDATE "+cfg.Name, func(reply func(jetstream.Stream, error)) {
		s := a.c.w.streams[cfg.Name]
		if s == nil {
			reply(nil, jetstream.ErrStreamNotFound)
			return
		}
		cfg.FirstSeq = s.cfg.FirstSeq
		s.cfg = cfg
		reply(s.handle(), nil)
	})
}

// describe says what a message is, without what is random in it.
func describe(m *nats.Msg) string {
	kind, _, _ := split(m.Subject)
	switch kind {
	case "ev":
		e := new(pb.Entry)
		if proto.Unmarshal(m.Data, e) != nil {
			return m.Subject
		}
		what := fmt.Sprintf("%s epoch %d number %d after %s", m.Subject, e.Epoch, e.Counter, m.Header.Get("Nats-Expected-Last-Subject-Sequence"))
		if e.TakeOver {
			what += " (take-over)"
		}
		return what
	case "cmd":
		c := new(pb.Command)
		if proto.Unmarshal(m.Data, c) != nil {
			return m.Subject
		}
		return fmt.Sprintf("%s %s %x", m.Subject, c.Kind, c.Id)
	}
	return strings.TrimPrefix(m.Subject, apiPrefix) + " " + string(m.Data)
}

// split takes kind.region.bucket apart.
func split(subject string) (kind string, bucket int, ok bool) {
	parts := strings.Split(subject, ".")
	if len(parts) != 3 {
		return "", 0, false
	}
	bucket, err := strconv.Atoi(parts[2])
	return parts[0], bucket, err == nil
}

// matches tells whether a subject fits a pattern whose last token may be a star.
func matches(pattern, subject string) bool {
	if head, ok := strings.CutSuffix(pattern, "*"); ok {
		rest, ok := strings.CutPrefix(subject, head)
		return ok && !strings.Contains(rest, ".")
	}
	return pattern == subject
}
