package edge

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// A desk is a reporter whose clock the test moves and whose batches it answers.
type desk struct {
	*loop
	t   *testing.T
	now time.Time
}

func newDesk(t *testing.T) *desk {
	d := &desk{t: t, now: time.Unix(1_700_000_000, 0)}
	cfg := &Config{PresenceDelay: 5 * time.Second, PresenceRefresh: 25600 * time.Millisecond}
	d.loop = &loop{cfg: cfg, now: func() time.Time { return d.now }}
	d.reporter = newReporter(d.loop)
	return d
}

func (d *desk) session(user proto.ID, s proto.Status) *session {
	n := &session{user: user, client: &client{}}
	n.posture.device = "web"
	d.pose(n, wish{status: s})
	d.reporter.show(n)
	return n
}

func (d *desk) cut(s *session) {
	s.client, s.detached = nil, d.now
	d.reporter.lost(s)
}

// pass moves the clock and collects the reports of that time, which the cores take or do not.
func (d *desk) pass(span time.Duration, taken bool) (reports []*pb.PresenceReport) {
	d.t.Helper()
	for end := d.now.Add(span); d.now.Before(end); {
		d.now = d.now.Add(100 * time.Millisecond)
		d.reporter.turnOver()
		call, batch := d.reporter.batch()
		if len(batch) == 0 {
			continue
		}
		reports = append(reports, call.Reports...)
		var err error
		if !taken {
			err = errors.New("away")
		}
		d.reporter.busy = true
		reported{batch, err}.apply(d.loop)
	}
	return reports
}

func (d *desk) expect(reports []*pb.PresenceReport, want ...string) {
	d.t.Helper()
	var got []string
	for _, r := range reports {
		switch {
		case r.Gone:
			got = append(got, "gone")
		case !r.Refresh:
			got = append(got, r.Status)
		}
	}
	if len(got) != len(want) {
		d.t.Fatalf("reported %q, want %q", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			d.t.Fatalf("reported %q, want %q", got, want)
		}
	}
}

// Alice's connection breaks and comes back within the delay: nobody hears of it. The next time it does not.
func TestGoneIsToldLate(t *testing.T) {
	d := newDesk(t)
	s := d.session(1, "online")
	d.expect(d.pass(time.Second, true), "online")
	d.cut(s)
	d.expect(d.pass(4900*time.Millisecond, true))
	s.client = &client{}
	d.reporter.show(s)
	d.expect(d.pass(10*time.Second, true))
	d.cut(s)
	d.expect(d.pass(3*time.Second, true))
	s.client = &client{} // back, and away again: the delay begins anew
	d.reporter.show(s)
	d.cut(s)
	d.expect(d.pass(4900*time.Millisecond, true))
	d.expect(d.pass(200*time.Millisecond, true), "gone")
	if len(d.reporter.users) != 0 {
		t.Errorf("%d users are kept", len(d.reporter.users))
	}
	s.client = &client{} // resumed long after
	d.reporter.show(s)
	d.expect(d.pass(time.Second, true), "online")
}

// Two sessions of one user are one report, and only differences are told.
func TestSessionsAreMerged(t *testing.T) {
	d := newDesk(t)
	a := d.session(1, "online")
	d.expect(d.pass(time.Second, true), "online")
	b := d.session(1, "idle")
	b.posture.device = "mobile"
	d.reporter.changed(1)
	d.expect(d.pass(time.Second, true), "online") // another device
	d.pose(b, wish{status: "dnd"})
	d.expect(d.pass(time.Second, true), "dnd")
	d.pose(b, wish{status: "dnd"})
	d.expect(d.pass(time.Second, true))
	d.pose(a, wish{status: "invisible"})
	d.expect(d.pass(time.Second, true), "dnd") // one device less
	d.pose(b, wish{status: "invisible"})
	r := d.pass(time.Second, true)
	d.expect(r, "invisible")
	if len(r[0].Devices) != 0 || r[0].Activities != nil {
		t.Errorf("told of somebody invisible: %v", r[0])
	}
	d.cut(a)
	d.cut(b)
	d.expect(d.pass(6*time.Second, true), "gone")
}

// Everybody is repeated once in a refresh, evenly; what cores did not take is told again then, and no sooner.
func TestRefreshIsSpread(t *testing.T) {
	d := newDesk(t)
	const users = 5000
	for i := range users {
		d.session(proto.ID(1<<40+i), "online")
	}
	if n := len(slices.DeleteFunc(d.pass(time.Second, true), func(r *pb.PresenceReport) bool { return r.Refresh })); n != users {
		t.Fatalf("told %d of %d", n, users)
	}
	most, all := 0, 0
	for range 256 {
		r := d.pass(100*time.Millisecond, true)
		d.expect(r)
		most, all = max(most, len(r)), all+len(r)
	}
	if all != users || most > 5*users/256 {
		t.Errorf("%d of %d were repeated, at most %d in one slot of 256", all, users, most)
	}
	s := d.session(7, "idle")
	d.expect(d.pass(100*time.Millisecond, false), "idle")
	quiet := d.pass(200*time.Millisecond, true)
	rest := d.pass(25600*time.Millisecond, true)
	d.expect(append(quiet, rest...), "idle")
	d.cut(s)
	d.pass(4900*time.Millisecond, true)
	d.expect(d.pass(200*time.Millisecond, false), "gone")
	d.pass(3*25600*time.Millisecond, false) // the cores have forgotten by themselves
	if d.reporter.users[7] != nil {
		t.Error("somebody gone is kept for ever")
	}
}

// Beyond five in twenty seconds only the newest wish counts, and only when its time has come.
func TestWishesAreLimited(t *testing.T) {
	d := newDesk(t)
	s := d.session(1, "online")
	s.client.session = s
	for i, status := range []proto.Status{"idle", "dnd", "idle", "dnd", "idle", "dnd", "online", "invisible"} {
		wishAsk{s.client, wish{status: status}}.apply(d.loop)
		if i >= maxWishes && s.posture.wish.status != "idle" {
			t.Fatalf("wish %d took effect", i)
		}
	}
	d.now = d.now.Add(19 * time.Second)
	d.release(s, d.now)
	if s.posture.wish.status != "idle" {
		t.Fatal("too soon")
	}
	d.now = d.now.Add(2 * time.Second)
	d.release(s, d.now)
	if s.posture.wish.status != "invisible" {
		t.Fatalf("still %s", s.posture.wish.status)
	}
	early := &client{pending: &pending{}}
	wishAsk{early, wish{status: "dnd"}}.apply(d.loop)
	if early.pending.wish.status != "dnd" {
		t.Error("what came before READY is lost")
	}
}
