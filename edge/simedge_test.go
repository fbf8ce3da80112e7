package edge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing/synctest"
	"time"

	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
)

// A simEdge is an edge: the real loop, over a log, a journal and cores of the world. The world runs the loop a batch at a time.
type simEdge struct {
	w      *simWorld
	n      int
	boot   uint64
	up     bool
	link   bool // to the hub: entries, answers, acknowledgements, beats
	leaf   bool // to its leaf: without it nothing leaves the process either
	cutAt  time.Time
	dying  bool // the process ends within the next Write
	srv    *Server
	l      *loop
	cancel context.CancelFunc
	conns  []*simConn
	ticked time.Time

	crowded time.Time // when it was last, or booted

	inbox   []message // of the loop, in an order that hangs on the seed alone
	reader  *simReader
	journal *simJournal
}

func (e *simEdge) String() string { return fmt.Sprint("e", e.n) }

func (e *simEdge) name() string { return fmt.Sprint("edge-", e.n) }

// start boots the edge.
func (e *simEdge) start() {
	synctest.Wait()
	e.w.mu.Lock()
	e.boot++
	e.w.mu.Unlock()
	e.set(true, true, true)
	e.dying, e.conns, e.inbox = false, nil, nil
	cfg := Config{Name: e.name(), LeafURL: "x", HTTPAddr: "x", Log: slog.New(slog.DiscardHandler), RingEvents: e.w.ring}
	if err := cfg.check(); err != nil {
		panic(err)
	}
	e.srv = &Server{cfg: cfg, gateway: "x"}
	ctx, cancel := context.WithCancel(context.Background())
	e.l, e.cancel = newLoop(e.srv, ctx), cancel
	e.srv.loop = e.l
	e.reader = &simReader{e: e, buckets: map[int]*simFollow{}}
	e.journal = &simJournal{e: e, boot: e.boot, changed: make(chan struct{})}
	e.l.interest, e.l.journal, e.l.cores.bus = newInterest(e.reader), e.journal, &simBus{e: e, boot: e.boot}
	e.l.beat = func() time.Time {
		if _, linked := e.state(); linked {
			return time.Now()
		}
		return e.cutAt
	}
	e.l.index, e.l.recordRoom, e.l.recordMost = e.w.firstIndex, e.w.recordRoom, e.w.recordMost
	e.ticked, e.crowded = time.Now(), time.Now()
	e.l.flush()
	e.w.logf("%v boots, %d", e, e.boot)
}

// cut parts the edge from the hub, with or without its leaf.
func (e *simEdge) cut(leaf bool) {
	synctest.Wait()
	if e.link && e.leaf {
		e.cutAt = time.Now()
	}
	e.set(e.up, false, e.leaf && !leaf)
}

// mend joins it again.
func (e *simEdge) mend() {
	synctest.Wait()
	e.set(e.up, true, true)
}

// set changes what tasks look at.
func (e *simEdge) set(up, link, leaf bool) {
	e.w.mu.Lock()
	defer e.w.mu.Unlock()
	e.up, e.link, e.leaf = up, link, leaf
}

// state is for those that run beside the world.
func (e *simEdge) state() (up, linked bool) {
	e.w.mu.Lock()
	defer e.w.mu.Unlock()
	return e.up, e.link && e.leaf
}

// kill ends the process. What left it arrives, unless its link or leaf is lost with it.
func (e *simEdge) kill(withLink bool) {
	synctest.Wait()
	e.w.stats.kills++
	e.w.logf("%v dies, %d records on their way, link %v, with its leaf %v", e, len(e.journal.waiting), e.link, withLink)
	e.set(false, e.link, e.leaf)
	e.cancel()
	for _, c := range e.conns {
		if c.client.conn == c {
			c.client.read(e.w.r.IntN(len(c.queue) + 1))
			if c.client.conn == c {
				c.client.leave(true, "the edge died")
			}
		}
		c.over = true
	}
	for _, r := range e.journal.waiting {
		keep := !r.kept && e.leaf // an edge without its leaf takes what it could not hand over with it
		if withLink || !e.link {
			keep = keep && e.w.r.IntN(2) == 0
		}
		if keep {
			e.w.mu.Lock()
			e.w.orphans = append(e.w.orphans, r)
			e.w.mu.Unlock()
		} else if !r.kept {
			e.w.lost[simBoot{e.name(), e.boot}] = true
		}
	}
	e.journal.waiting = nil
	e.w.settle()
}

// gather takes what tasks have posted. Of what came at one moment the order is made certain.
func (e *simEdge) gather() {
	if !e.up {
		return
	}
	old := len(e.inbox)
	for {
		select {
		case m := <-e.l.inbox:
			e.inbox = append(e.inbox, m)
			continue
		default:
		}
		break
	}
	if fresh := e.inbox[old:]; len(fresh) > 1 {
		slices.SortStableFunc(fresh, func(a, b message) int { return cmp.Compare(messageKey(a), messageKey(b)) })
	}
}

// messageKey orders what tasks post; what clients and the reader post stays as it is.
func messageKey(m message) string {
	switch m := m.(type) {
	case bucketStart:
		return fmt.Sprint("0 start ", m.bucket)
	case located:
		return fmt.Sprint("1 located ", m.ask.client.conn.(*simConn).n)
	case gathered:
		return fmt.Sprint("2 gathered ", m.move.client.conn.(*simConn).n)
	case pastRead:
		return fmt.Sprint("3 past ", m.move.client.conn.(*simConn).n)
	case arrived:
		return fmt.Sprint("4 arrived ", m.move.client.conn.(*simConn).n)
	case guildLoaded:
		return fmt.Sprint("5 guild ", m.guild.id)
	case rowsFetched:
		return fmt.Sprint("6 rows ", m.guild.id)
	case identified:
		return fmt.Sprint("7 identified ", m.pending.client.conn.(*simConn).n)
	case directLoaded:
		return fmt.Sprint("8 direct ", m.seat.channel, m.seat.session.id)
	case acknowledged:
		return fmt.Sprint("9 acknowledged ", m.client.conn.(*simConn).n)
	}
	return ""
}

// work runs one batch of the loop, if there is something to do.
func (e *simEdge) work() bool {
	e.gather()
	if !e.up || len(e.inbox) == 0 {
		return false
	}
	list := e.inbox[:min(len(e.inbox), maxBatch)]
	e.inbox = e.inbox[len(list):]
	for _, m := range list {
		e.l.inbox <- m
	}
	e.l.batch(<-e.l.inbox)
	e.after()
	return true
}

// tick is a second of the loop, or more.
func (e *simEdge) tick() {
	if !e.up {
		return
	}
	e.ticked = time.Now()
	e.l.tick()
	e.l.flush()
	e.reader.sweep()
	e.after()
}

func (e *simEdge) after() {
	if e.dying {
		e.kill(false)
		return
	}
	e.conns = slices.DeleteFunc(e.conns, func(c *simConn) bool { return c.over })
	for _, c := range e.conns {
		if c.cut && c.code != 0 {
			c.end()
		}
	}
	e.w.settle()
}

// beats are the clients' heartbeats.
func (e *simEdge) beats() {
	for _, c := range e.conns {
		if !c.cut && !c.over && c.code == 0 && e.up && time.Since(c.beat) > 20*time.Second {
			c.beat = time.Now()
			c.handler.OnFrame(c, []byte(`{"op":1,"d":null}`))
		}
	}
}

// A simReader keeps the promise of relay.Reader.
type simReader struct {
	e       *simEdge
	mu      sync.Mutex
	buckets map[int]*simFollow
}

type simFollow struct {
	users int
	idle  time.Time
	next  int // entry to be delivered
}

func (r *simReader) Follow(ctx context.Context, bucket int) error {
	w := r.e.w
	w.mu.Lock()
	from := len(w.log.buckets[w.bucketAt(bucket)])
	w.mu.Unlock()
	if err := w.wait(ctx, r.e, r.e.boot, fmt.Sprint("follow ", bucket)); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.buckets[bucket]
	if f == nil {
		f = &simFollow{next: max(0, from-int(w.back))}
		r.buckets[bucket] = f
		at := uint64(0)
		if f.next > 0 {
			at = w.log.buckets[w.bucketAt(bucket)][f.next-1].sequence
		}
		r.e.l.onStart(bucket, at)
	}
	f.users++
	return nil
}

func (r *simReader) Release(bucket int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.buckets[bucket]; f != nil && f.users > 0 {
		f.users--
		f.idle = time.Now()
	}
}

func (r *simReader) sweep() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for b, f := range r.buckets {
		if f.users == 0 && time.Since(f.idle) > time.Minute {
			delete(r.buckets, b)
		}
	}
}

func (r *simReader) Range(ctx context.Context, bucket int, from, to uint64, f func(uint64, *pb.Entry) error) error {
	w := r.e.w
	if from >= to {
		return nil
	}
	if err := w.wait(ctx, r.e, r.e.boot, fmt.Sprint("range ", bucket, " ", from, " ", to)); err != nil {
		return err
	}
	w.mu.Lock()
	list := w.log.buckets[w.bucketAt(bucket)]
	w.mu.Unlock()
	for _, x := range list {
		if x.sequence > from && x.sequence <= to {
			if err := f(x.sequence, x.entry); err != nil {
				return err
			}
		}
	}
	return nil
}

// behind lists the buckets of which there are entries to deliver.
func (r *simReader) behind() (list []int) {
	for _, b := range r.e.w.ids {
		if f := r.buckets[b]; f != nil && f.next < len(r.e.w.log.buckets[r.e.w.bucketAt(b)]) {
			list = append(list, b)
		}
	}
	return list
}

// deliver hands the loop the next entries of a bucket.
func (r *simReader) deliver(bucket, n int) {
	f, list := r.buckets[bucket], r.e.w.log.buckets[r.e.w.bucketAt(bucket)]
	for ; n > 0 && f.next < len(list) && len(r.e.l.inbox) < inboxLen/2; n-- {
		x := list[f.next]
		f.next++
		r.e.l.onEntry(bucket, x.sequence, x.entry)
	}
	r.e.gather()
}

type simBoot struct {
	edge string
	boot uint64
}

// A simJournal keeps the promise of relay.Journal.
type simJournal struct {
	e    *simEdge
	boot uint64

	mu         sync.Mutex
	number     uint64
	to, acked  int64
	waiting    []*simRecord
	changed    chan struct{}
	afterwards []*simRecord
}

type simRecord struct {
	of      simBoot
	record  *pb.JournalRecord
	written time.Time
	kept    bool // the hub has it, the edge does not know
}

var errSimCut = errors.New("no connection")

func (j *simJournal) Boot() uint64 { return j.boot }

func (j *simJournal) Write(ctx context.Context, r *pb.JournalRecord) error {
	if j.e.dying {
		return errSimCut
	}
	if j.e.w.dieIn == j.e {
		j.e.w.dieIn, j.e.dying = nil, true
		return errSimCut
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if r.To < j.to {
		return fmt.Errorf("a record that ends at %d behind one that ends at %d", r.To, j.to)
	}
	if len(j.waiting) >= j.e.w.journalRoom {
		return relay.ErrJournalFull
	}
	r.Boot, r.Number, r.From, r.TimeMs = j.boot, j.number+1, j.to, time.Now().UnixMilli()
	j.number, j.to = r.Number, r.To
	j.waiting = append(j.waiting, &simRecord{of: simBoot{j.e.name(), j.boot}, record: gproto.CloneOf(r), written: time.Now()})
	if !j.e.leaf {
		return errUnsent // after five seconds
	}
	return nil
}

func (j *simJournal) WaitAcked(ctx context.Context, index int64) error {
	j.mu.Lock()
	var last uint64
	for _, r := range j.waiting {
		if r.record.From < index || r.record.To <= index {
			last = r.record.Number
		}
	}
	j.mu.Unlock()
	for {
		j.mu.Lock()
		there, changed := len(j.waiting) == 0 || j.waiting[0].record.Number > last, j.changed
		j.mu.Unlock()
		if there {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (j *simJournal) Oldest() time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.waiting) == 0 {
		return 0
	}
	return time.Since(j.waiting[0].written)
}

// unkept tells whether there are records that the hub has not.
func (j *simJournal) unkept() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.ContainsFunc(j.waiting, func(r *simRecord) bool { return !r.kept })
}

// arrive stores up to n records at the hub, and has the edge hear of it or not.
func (j *simJournal) arrive(n int, ack bool) {
	j.mu.Lock()
	for _, r := range j.waiting[:min(n, len(j.waiting))] {
		if !r.kept {
			r.kept = true
			j.e.w.store(r)
		}
	}
	if ack {
		for len(j.waiting) > 0 && j.waiting[0].kept {
			j.acked = j.waiting[0].record.To
			j.waiting = j.waiting[1:]
		}
		close(j.changed)
		j.changed = make(chan struct{})
	}
	j.mu.Unlock()
}

// spanEnds tells whether a client's numbers come to the end of their half.
func (w *simWorld) spanEnds(c *simClient) bool { return w.firstIndex > 0 }

func (w *simWorld) bucketOf(ev *simEvent) int {
	if ev.guild != nil {
		return ev.guild.bucket
	}
	return proto.ID(ev.event.User).Bucket()
}

// check compares the loop's tables with each other.
func (e *simEdge) check() error {
	answer := make(chan error, 1)
	checkAsk{answer}.apply(e.l)
	return <-answer
}
