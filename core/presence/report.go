package presence

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

const (
	maxReports = 1000
	maxUsers   = 10_000 // of one question
	maxEdge    = 128    // bytes of an edge's name
)

// unavailable is all that an edge is told of an error.
const unavailable = "unavailable"

var errFull = errors.New("too much waits to be announced")

// answerReports is the rpc "presence".
func (s *Server) answerReports(ctx context.Context, body []byte) []byte {
	out := &pb.PresenceAnswer{}
	if err := s.take(ctx, body); err != nil {
		s.log.Debug("reports refused", "err", err)
		out.Error = unavailable
	}
	return encode(out)
}

// take refuses everything while the queue is full: what a store has once taken it does not tell as a change again.
func (s *Server) take(ctx context.Context, body []byte) error {
	var in pb.PresenceCall
	if err := gproto.Unmarshal(body, &in); err != nil {
		calls.WithLabelValues("bad").Inc()
		return err
	}
	if in.Edge == "" || len(in.Edge) > maxEdge || len(in.Reports) > maxReports {
		calls.WithLabelValues("bad").Inc()
		return fmt.Errorf("edge %.40q: %d reports", in.Edge, len(in.Reports))
	}
	if s.queue.full() {
		calls.WithLabelValues("busy").Inc()
		return errFull
	}
	list := make([]core.PresenceReport, 0, len(in.Reports))
	for _, r := range in.Reports {
		if report, ok := reportOf(r); ok {
			list = append(list, report)
			reports.WithLabelValues(kindOf(report)).Inc()
		} else {
			reports.WithLabelValues("bad").Inc()
		}
	}
	found, err := s.cfg.Presences.Report(ctx, in.Edge, list, s.cfg.Now())
	s.changed("report", found)
	if err != nil {
		storeErrors.WithLabelValues("report").Inc()
		calls.WithLabelValues("away").Inc()
		return fmt.Errorf("edge %s: %w", in.Edge, err)
	}
	calls.WithLabelValues("ok").Inc()
	return nil
}

func kindOf(r core.PresenceReport) string {
	switch {
	case r.Gone:
		return "gone"
	case r.Refresh:
		return "refresh"
	}
	return "change"
}

// reportOf reads one report; ok is false for what no edge of ours says.
func reportOf(r *pb.PresenceReport) (core.PresenceReport, bool) {
	status := proto.Status(r.Status)
	if r.User == 0 || !r.Gone && !status.Visible() && status != proto.StatusInvisible {
		return core.PresenceReport{}, false
	}
	out := core.PresenceReport{Presence: core.Presence{User: proto.ID(r.User)}, Gone: r.Gone, Refresh: r.Refresh}
	if r.Gone {
		return out, true
	}
	out.Status, out.LastActive = status, time.UnixMilli(r.LastActiveMs).UTC()
	if !status.Visible() {
		return out, true // nobody is to see more of it
	}
	if len(r.Activities) <= core.MaxActivities && isList(r.Activities) {
		out.Activities = r.Activities
	}
	out.Devices = devicesOf(r.Devices)
	return out, true
}

func isList(b []byte) bool {
	var list []json.RawMessage
	return json.Unmarshal(b, &list) == nil
}

// devicesOf keeps the published devices that others may see.
func devicesOf(in map[string]string) map[string]proto.Status {
	out := map[string]proto.Status{}
	for _, device := range []string{"desktop", "mobile", "web"} {
		if s := proto.Status(in[device]); s.Visible() {
			out[device] = s
		}
	}
	return out
}

// answerPresences is the rpc "presences".
func (s *Server) answerPresences(ctx context.Context, body []byte) []byte {
	out := &pb.PresencesAnswer{}
	found, err := s.ask(ctx, body)
	if err != nil {
		s.log.Debug("presences not told", "err", err)
		out.Error = unavailable
	}
	for _, p := range found {
		if !p.Status.Visible() {
			continue
		}
		devices := map[string]string{}
		for d, s := range p.Devices {
			devices[d] = string(s)
		}
		out.Presences = append(out.Presences, &pb.PresenceReport{User: uint64(p.User), Status: string(p.Status), Activities: p.Activities, Devices: devices})
	}
	return encode(out)
}

func (s *Server) ask(ctx context.Context, body []byte) ([]core.Presence, error) {
	var in pb.PresencesCall
	if err := gproto.Unmarshal(body, &in); err != nil {
		questions.WithLabelValues("bad").Inc()
		return nil, err
	}
	if len(in.Users) > maxUsers {
		questions.WithLabelValues("bad").Inc()
		return nil, fmt.Errorf("%d users", len(in.Users))
	}
	users := make([]proto.ID, 0, len(in.Users))
	for _, u := range in.Users {
		users = append(users, proto.ID(u))
	}
	found, err := s.cfg.Presences.Presences(ctx, users)
	if err != nil {
		storeErrors.WithLabelValues("presences").Inc()
		questions.WithLabelValues("away").Inc()
		return nil, err
	}
	questions.WithLabelValues("ok").Inc()
	return found, nil
}

func encode(m gproto.Message) []byte {
	b, err := gproto.Marshal(m)
	if err != nil {
		return nil // strings of ours that are no UTF-8: a bug; the edge asks again
	}
	return b
}
