package edge

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// A gatedReader follows one bucket no sooner than it is let.
type gatedReader struct {
	bucket int
	asked  chan struct{}
	let    chan struct{}
}

func (r *gatedReader) Follow(_ context.Context, bucket int) error {
	if bucket == r.bucket {
		close(r.asked)
		<-r.let
	}
	return nil
}

func (*gatedReader) Release(int) {}

func (*gatedReader) Range(context.Context, int, uint64, uint64, func(uint64, *pb.Entry) error) error {
	return nil
}

// Alice resumes here, and goes, or is too late, while the edge still follows what her session needs: all of it is let go.
func TestMoveThatIsDroppedLetsAllGo(t *testing.T) {
	for name, end := range map[string]func(*loop, *session){
		"her connection is lost": func(l *loop, s *session) { l.detach(s) },
		"it takes too long":      func(l *loop, s *session) { l.giveUp(s.held, context.DeadlineExceeded) },
	} {
		t.Run(name, func(t *testing.T) {
			const alice = proto.ID(5 << 12)
			cfg := Config{Name: "edge", LeafURL: "x", HTTPAddr: "x", Log: slog.New(slog.DiscardHandler)}
			if err := cfg.check(); err != nil {
				t.Fatal(err)
			}
			l := newLoop(&Server{cfg: cfg}, t.Context())
			r := &gatedReader{bucket: guildID.Bucket(), asked: make(chan struct{}), let: make(chan struct{})}
			l.interest = newInterest(r)
			if alice.Bucket() == r.bucket {
				t.Fatal("she lives where the guild does")
			}
			c := &client{loop: l, conn: &deafConn{}, opened: time.Now()}
			l.moveHere(located{ask: resumeAsk{client: c, id: "x"}, answer: &pb.ResumeAnswer{Record: &pb.ResumeRecord{Origin: &pb.SessionOrigin{User: uint64(alice), Shards: 1}}}},
				&pb.UserSnapshot{User: uint64(alice), Guilds: []uint64{uint64(guildID)}})
			s := c.session
			<-r.asked
			end(l, s)
			close(r.let)
			(<-l.inbox).apply(l)
			if !s.dropped || len(l.sessions) != 0 {
				t.Error("the session lives")
			}
			if held := l.interest.held; len(held) != 0 {
				t.Errorf("still followed: %v", held)
			}
		})
	}
}
