package cql

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/gocql/gocql"

	"github.com/starling-chat/starling/core"
)

// ErrAway says that there is no session with the cluster at the moment.
var ErrAway = fmt.Errorf("no session with the CQL cluster: %w", core.ErrAway)

const (
	watchInterval = time.Second
	watchTimeout  = 2 * time.Second
	watchPatience = 3 // probes that fail in a row before a new session is tried
)

// A link holds the session with the cluster and watches over it. The driver finds lost nodes again by itself, mostly; where it does not, as
// when all nodes went and came back under other addresses, the watchdog opens a new session beside the dead one and puts it in its place.
type link struct {
	cfg     Config
	session atomic.Pointer[gocql.Session]
	nodes   atomic.Int32  // that are up
	ready   chan struct{} // closed with the first session
	refused chan error    // holds why there will be none, once the server has refused the schema
	failure atomic.Value  // wrong: why there is no session yet
	ended   chan struct{}
}

type wrong struct{ err error }

func newLink(cfg Config) *link {
	return &link{cfg: cfg, ready: make(chan struct{}), refused: make(chan error, 1), ended: make(chan struct{})}
}

// get gives the session of the moment. It may be closed under the caller's hands, who then gets an error.
func (l *link) get() (*gocql.Session, error) {
	if s := l.session.Load(); s != nil {
		return s, nil
	}
	if w, ok := l.failure.Load().(wrong); ok {
		return nil, fmt.Errorf("%w: %w", ErrAway, w.err)
	}
	return nil, ErrAway
}

// run keeps a session until ctx ends, then closes it.
func (l *link) run(ctx context.Context) {
	defer close(l.ended)
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	failed := watchPatience // there is no session: try at once
	for ctx.Err() == nil {
		if failed >= watchPatience && l.renew(ctx) {
			failed = 0
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
		if s := l.session.Load(); s == nil || l.probe(ctx, s) == nil {
			if s != nil {
				failed = 0
			}
			continue
		}
		failed++
	}
	if s := l.session.Load(); s != nil {
		s.Close()
	}
}

// probe asks any node for something small.
func (l *link) probe(ctx context.Context, s *gocql.Session) error {
	ctx, cancel := context.WithTimeout(ctx, watchTimeout)
	defer cancel()
	up := 0
	for _, h := range s.GetHosts() {
		if h.IsUp() {
			up++
		}
	}
	l.nodes.Store(int32(up))
	return s.Query(`SELECT bucket FROM checkpoints WHERE bucket = -1`).WithContext(ctx).Consistency(gocql.One).Exec()
}

// renew opens a session, with the schema if this is the first, and closes the one before only once the new one has answered; unless the one
// before answers again by then, too: what is under way in it need not fail.
func (l *link) renew(ctx context.Context) bool {
	first := l.session.Load() == nil
	s, err := l.open(ctx, first)
	if err != nil {
		if was, _ := l.failure.Swap(wrong{err}).(wrong); was.err == nil || was.err.Error() != err.Error() {
			l.cfg.Log.Warn("cql cluster away", "hosts", l.cfg.Hosts, "err", err)
		}
		if permanent(err) {
			select {
			case l.refused <- err:
			default: // it knows
			}
		}
		return false
	}
	l.failure.Store(wrong{})
	if old := l.session.Load(); old != nil && l.probe(ctx, old) == nil {
		s.Close()
		return true
	}
	newSessions.Inc()
	l.cfg.Log.Info("cql session", "hosts", l.cfg.Hosts, "keyspace", l.cfg.Keyspace, "nodes", l.nodes.Load())
	if old := l.session.Swap(s); old != nil {
		old.Close()
	}
	if first {
		close(l.ready)
	}
	return true
}

func (l *link) open(ctx context.Context, first bool) (*gocql.Session, error) {
	s, err := connect(l.cfg, l.cfg.Keyspace)
	if err != nil && first { // there may be no keyspace yet
		if err := Migrate(ctx, l.cfg); err != nil {
			return nil, err
		}
		s, err = connect(l.cfg, l.cfg.Keyspace)
	}
	if err != nil {
		return nil, err
	}
	if first {
		err = migrate(ctx, s, l.cfg)
	}
	if err == nil {
		err = l.probe(ctx, s)
	}
	if err == nil {
		err = prepare(ctx, s)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Migrate makes the keyspace and the tables where they are missing. Open does it, too; on a cluster of many nodes let one process do it first.
func Migrate(ctx context.Context, cfg Config) error {
	cfg.setDefaults()
	if err := cfg.check(); err != nil {
		return err
	}
	s, err := connect(cfg, "")
	if err != nil {
		return err
	}
	defer s.Close()
	return migrate(ctx, s, cfg)
}

// connect opens a session; it gives up after the driver's connect time-out. (CreateSession would leave goroutines behind when it fails.)
func connect(cfg Config, keyspace string) (*gocql.Session, error) {
	s, err := cfg.cluster(keyspace).CreateSessionNonBlocking()
	if err != nil {
		return nil, err
	}
	if err := s.WaitUntilReady(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// speculation sends a slow read to a second node. With one node alone there is nobody to ask, and the driver would take that for the answer.
type speculation struct{ link *link }

func (p speculation) Delay() time.Duration { return p.link.cfg.Speculate }

func (p speculation) Attempts() int {
	if p.link.cfg.Speculate < 0 || p.link.nodes.Load() < 2 {
		return 0
	}
	return 1
}
