package edge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	wire "github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
)

var (
	errBadToken = errors.New("bad token")
	errNoGuild  = errors.New("no such guild")
)

// A cores asks the cores of the region over the bus, and asks again while they cannot say. Any goroutine may call it.
type cores struct {
	bus      asker
	region   string
	refusals refusals
}

// A herdError tells that more come at this moment than a core lets in.
type herdError struct{ after time.Duration } // when there is a turn again

func (e *herdError) Error() string {
	return fmt.Sprintf("more come than may: there is a turn again after %v", e.after)
}

// An asker asks whoever answers on a subject. relay.Bus is one.
type asker interface {
	Request(ctx context.Context, subject string, body []byte) ([]byte, error)
}

func newCores(bus asker, region string) *cores { return &cores{bus: bus, region: region} }

const (
	callTimeout = 3 * time.Second // of one try
	firstPause  = 50 * time.Millisecond
	longPause   = time.Second
)

// identify asks whose token it is, until ctx ends; errBadToken says nobody's. With an origin a session starts: that counts against the limits, and
// the answer has its id.
func (c *cores) identify(ctx context.Context, token string, origin *pb.SessionOrigin) (*pb.IdentifyAnswer, error) {
	h := hashToken(token)
	if c.refusals.has(h) {
		return nil, errBadToken
	}
	ans, call := new(pb.IdentifyAnswer), &pb.IdentifyCall{Token: token, Start: origin != nil, Origin: origin}
	ask := func() error {
		return c.ask(ctx, "identify", call, ans, func() error {
			switch {
			case ans.Error != "":
				return errors.New(ans.Error)
			case ans.User == nil && ans.LaterMs == 0:
				return errBadToken
			}
			return nil
		})
	}
	err := ask()
	if err == nil && ans.LaterMs > 0 {
		if err = comeAgain(ctx, ans.LaterMs); err == nil {
			call.Admitted = true
			err = ask()
		}
	}
	if errors.Is(err, errBadToken) {
		c.refusals.add(h)
	}
	return ans, err
}

// comeAgain waits for the turn that a core has given, or tells that there is none.
func comeAgain(ctx context.Context, ms uint32) error {
	d := time.Duration(ms) * time.Millisecond
	if d > maxStartWait {
		limited.WithLabelValues("admission").Inc()
		return &herdError{d}
	}
	if !wait(ctx, d) {
		return ctx.Err()
	}
	return nil
}

// guild asks for a snapshot with the members named, or all if they are no more than upTo; errNoGuild says there is none.
func (c *cores) guild(ctx context.Context, id wire.ID, members []uint64, upTo uint32) (*pb.GuildSnapshot, error) {
	ans := new(pb.GuildAnswer)
	err := c.ask(ctx, "guild", &pb.GuildCall{Guild: uint64(id), Members: members, AllMembersUpTo: upTo}, ans, func() error {
		switch {
		case ans.Status == 404:
			return errNoGuild
		case ans.Status != 200 || ans.Guild == nil:
			return fmt.Errorf("status %d", ans.Status)
		}
		return nil
	})
	switch {
	case err == nil:
		snapshots.WithLabelValues("ok").Inc()
	case errors.Is(err, errNoGuild):
		snapshots.WithLabelValues("not_found").Inc()
	default:
		snapshots.WithLabelValues("failed").Inc()
	}
	if err != nil {
		return nil, fmt.Errorf("guild %d: %w", id, err)
	}
	return ans.Guild, nil
}

// directs asks for snapshots of direct channels of a user. Where all are wanted it asks again until there are; else it asks once.
func (c *cores) directs(ctx context.Context, user wire.ID, wants []*pb.DirectWant, all bool) (map[wire.ID]*pb.DirectSnapshot, error) {
	found := map[wire.ID]*pb.DirectSnapshot{}
	if len(wants) == 0 {
		return found, nil
	}
	ans := new(pb.DirectAnswer)
	err := c.ask(ctx, "direct", &pb.DirectCall{User: uint64(user), Wants: wants}, ans, func() error {
		switch {
		case ans.Error != "":
			return errors.New(ans.Error)
		case all && len(ans.Directs) < len(wants):
			return fmt.Errorf("%d of %d direct channels", len(ans.Directs), len(wants))
		}
		return nil
	})
	if err != nil {
		return found, err
	}
	for _, d := range ans.Directs {
		found[wire.ID(d.Channel)] = d
	}
	return found, nil
}

// ask sends call and reads ans, again and again while check says that the answer is none, until ctx ends.
func (c *cores) ask(ctx context.Context, name string, call, ans proto.Message, check func() error) error {
	body, err := proto.Marshal(call)
	if err != nil {
		return err
	}
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		err := c.try(ctx, name, body, ans, check)
		if err == nil || errors.Is(err, errBadToken) || errors.Is(err, errNoGuild) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w (last: %w)", name, ctx.Err(), err)
		case <-time.After(pause):
		}
	}
}

// once asks a single time: for what is old before it could be asked again.
func (c *cores) once(ctx context.Context, name string, call, ans proto.Message, check func() error) error {
	body, err := proto.Marshal(call)
	if err != nil {
		return err
	}
	return c.try(ctx, name, body, ans, check)
}

func (c *cores) try(ctx context.Context, name string, body []byte, ans proto.Message, check func() error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	b, err := c.bus.Request(ctx, relay.RPCSubject(c.region, name), body)
	if err != nil {
		return err
	}
	proto.Reset(ans)
	if err := proto.Unmarshal(b, ans); err != nil {
		return err
	}
	return check()
}
