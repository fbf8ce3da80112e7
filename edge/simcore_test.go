package edge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"time"

	gproto "google.golang.org/protobuf/proto"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/resume"
	"github.com/starling-chat/starling/proto"
	records "github.com/starling-chat/starling/proto/journal"
	"github.com/starling-chat/starling/proto/pb"
)

var errSimAway = errors.New("away")

// A simBus is the way from one boot of an edge to the cores. The question waits on it, and so does the answer; either may be lost.
type simBus struct {
	e    *simEdge
	boot uint64
}

func (b *simBus) Request(ctx context.Context, subject string, body []byte) ([]byte, error) {
	w, name := b.e.w, subject[strings.LastIndexByte(subject, '.')+1:]
	if strings.HasPrefix(name, "presence") {
		return gproto.Marshal(&pb.PresencesAnswer{})
	}
	key := simCallKey(name, body)
	if err := w.wait(ctx, b.e, b.boot, "ask "+key); err != nil {
		return nil, err
	}
	answer := make(chan []byte, 1)
	w.coreCalls.Add(1)
	go func() {
		defer w.coreCalls.Done()
		ctx, cancel := context.WithTimeout(context.WithValue(w.ctx, simWhy{}, key), 9*time.Second)
		defer cancel()
		answer <- w.answer(ctx, name, body)
	}()
	select {
	case out := <-answer:
		if err := w.wait(ctx, b.e, b.boot, "answer "+key); err != nil {
			return nil, err
		}
		return out, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// simWhy is what a core's own questions are asked for.
type simWhy struct{}

func because(ctx context.Context) string {
	why, _ := ctx.Value(simWhy{}).(string)
	return " for " + why
}

// simCallKey tells calls apart by what they ask, not by the order in which they list it: that hangs on more than the seed.
func simCallKey(name string, body []byte) string {
	switch name {
	case "guild":
		in := new(pb.GuildCall)
		_ = gproto.Unmarshal(body, in)
		return fmt.Sprint("guild ", in.Guild, slices.Sorted(slices.Values(in.Members)), in.AllMembersUpTo)
	case "resumed":
		in := new(pb.ResumeCommit)
		_ = gproto.Unmarshal(body, in)
		return fmt.Sprint("resumed ", in.Before.Origin.Key, " ", in.Segment.N)
	case "hold":
		in := new(pb.HoldCall)
		_ = gproto.Unmarshal(body, in)
		var keys []uint64
		for _, r := range in.Records {
			keys = append(keys, r.Origin.Key)
		}
		return fmt.Sprint("hold ", slices.Sorted(slices.Values(keys)))
	}
	h := fnv.New32a()
	h.Write(body)
	return fmt.Sprintf("%s %x", name, h.Sum32())
}

func simEncode(m gproto.Message) []byte {
	b, err := gproto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

// answer is what a core does with a call.
func (w *simWorld) answer(ctx context.Context, name string, body []byte) []byte {
	switch name {
	case "identify":
		var in pb.IdentifyCall
		_ = gproto.Unmarshal(body, &in)
		u := w.tokens[in.Token]
		out := &pb.IdentifyAnswer{User: w.snapshotUser(u)}
		if in.Origin != nil {
			w.mu.Lock()
			w.keys[in.Token]++ // by client: calls of two of them that come at one moment come in any order
			client := slices.IndexFunc(w.clients, func(c *simClient) bool { return c.token == in.Token })
			in.Origin.Key = uint64(client+1)*1000 + w.keys[in.Token]
			w.mu.Unlock()
			in.Origin.User = uint64(u.id)
			out.Session, _ = w.signer.Sign(in.Origin)
			out.Key = in.Origin.Key
		}
		return simEncode(out)
	case "direct":
		var in pb.DirectCall
		_ = gproto.Unmarshal(body, &in)
		return simEncode(w.snapshotDirects(&in))
	case "guild":
		var in pb.GuildCall
		_ = gproto.Unmarshal(body, &in)
		return simEncode(w.snapshotGuild(&in))
	case "resume":
		var in pb.ResumeCall
		_ = gproto.Unmarshal(body, &in)
		out := w.service.Resume(ctx, &in)
		w.noteResume(&in, out)
		return simEncode(out)
	case "resumed":
		var in pb.ResumeCommit
		_ = gproto.Unmarshal(body, &in)
		out := w.service.Commit(ctx, &in)
		w.noteCommit(&in, out)
		return simEncode(out)
	case "hold":
		var in pb.HoldCall
		_ = gproto.Unmarshal(body, &in)
		return simEncode(w.service.Hold(ctx, &in))
	}
	panic(name)
}

func (w *simWorld) snapshotUser(u *simUser) *pb.UserSnapshot {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := &pb.UserSnapshot{User: uint64(u.id), Bucket: uint32(u.bucket), Sequence: w.log.tail(w.bucketAt(u.bucket)), Self: simJSON(u.self)}
	for _, id := range u.guilds {
		s.Guilds = append(s.Guilds, uint64(id))
	}
	for _, id := range slices.Sorted(maps.Keys(u.directs)) {
		s.Directs = append(s.Directs, &pb.ListedDirect{Channel: uint64(id), Since: uint64(u.directs[id])})
	}
	return s
}

func (w *simWorld) snapshotGuild(in *pb.GuildCall) *pb.GuildAnswer {
	w.mu.Lock()
	defer w.mu.Unlock()
	g := w.guild(proto.ID(in.Guild))
	if g == nil || g.now().dead {
		return &pb.GuildAnswer{Status: 404}
	}
	all := g.now().whole()
	if g.large {
		rows := all.Members
		all.Members = nil
		for _, m := range rows {
			for _, id := range in.Members {
				if uint64(m.User.ID) == id {
					all.Members = append(all.Members, m)
				}
			}
		}
	}
	return &pb.GuildAnswer{Status: 200, Guild: &pb.GuildSnapshot{Guild: in.Guild, Sequence: w.log.tail(w.bucketAt(g.bucket)), Body: simJSON(all), AllMembers: !g.large}}
}

// User implements resume.Users.
func (w *simWorld) User(ctx context.Context, token string) (user, login proto.ID, err error) {
	return w.tokens[token].id, 0, nil
}

// Snapshot implements resume.Users.
func (w *simWorld) Snapshot(ctx context.Context, user proto.ID) ([]byte, error) {
	if err := w.wait(ctx, nil, 0, "core user "+because(ctx)); err != nil {
		return nil, err
	}
	for _, u := range w.tokens {
		if u.id == user {
			return simEncode(w.snapshotUser(u)), nil
		}
	}
	return nil, resume.ErrBadToken
}

// Index implements resume.Journals.
func (w *simWorld) Index(ctx context.Context, edge string, boot uint64) (*records.Index, error) {
	if err := w.wait(ctx, nil, 0, "core journal "+edge+because(ctx)); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	x := w.journalLocked(simBoot{edge, boot})
	x.Expire(time.Now().Add(-resume.Retention))
	return x, nil
}

func (w *simWorld) journalLocked(b simBoot) *records.Index {
	if w.journals[b] == nil {
		w.journals[b] = records.New()
	}
	return w.journals[b]
}

// store is the hub taking a record.
func (w *simWorld) store(r *simRecord) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.journalLocked(r.of).Add(r.record, time.Now()); err != nil {
		w.failLocked("JOURNAL %v: %v", r.of, err)
	}
}

// adopt has a record of a dead edge arrive.
func (w *simWorld) adopt() {
	w.store(w.orphans[0])
	w.mu.Lock()
	defer w.mu.Unlock()
	w.orphans = w.orphans[1:]
}

// Release implements resume.Holders.
func (w *simWorld) Release(ctx context.Context, edge string, call *pb.ReleaseCall) (answer *pb.ReleaseAnswer, err error) {
	defer func() {
		if err != nil {
			w.mu.Lock()
			w.unheard[simBoot{edge, call.Boot}] = time.Now()
			w.mu.Unlock()
		}
	}()
	if err := w.wait(ctx, nil, 0, "core release "+edge+because(ctx)); err != nil {
		return nil, err
	}
	var e *simEdge
	for _, x := range w.edges {
		if x.name() == edge {
			e = x
		}
	}
	switch up, linked := e.state(); {
	case !up:
		return nil, resume.ErrNobody
	case !linked:
		<-ctx.Done()
		return nil, ctx.Err()
	}
	body := e.l.answerRelease(ctx, simEncode(call))
	if _, linked := e.state(); body == nil || !linked {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	out := new(pb.ReleaseAnswer)
	return out, gproto.Unmarshal(body, out)
}

type simBuried struct {
	body []byte
	ends time.Time
}

// Tomb implements resume.Tombs.
func (w *simWorld) Tomb(ctx context.Context, key string) ([]byte, error) {
	if err := w.wait(ctx, nil, 0, "core tomb "+key+because(ctx)); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if t, ok := w.tombs[key]; ok && t.ends.After(time.Now()) {
		return t.body, nil
	}
	return nil, core.ErrNotFound
}

// Bury implements resume.Tombs.
func (w *simWorld) Bury(ctx context.Context, key string, body []byte) error {
	if err := w.wait(ctx, nil, 0, "core bury "+key+because(ctx)); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if t, ok := w.tombs[key]; ok && t.ends.After(time.Now()) {
		if !bytes.Equal(t.body, body) {
			return core.ErrStale
		}
		return nil
	}
	w.tombs[key] = simBuried{bytes.Clone(body), time.Now().Add(resume.Retention)}
	return nil
}

type simRegistered struct {
	core.Registration
	ends time.Time
}

// Registration implements core.Registry.
func (w *simWorld) Registration(ctx context.Context, session string) (core.Registration, error) {
	if err := w.wait(ctx, nil, 0, "core registration "+session+because(ctx)); err != nil {
		return core.Registration{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if r, ok := w.registry[session]; ok && r.ends.After(time.Now()) {
		return r.Registration, nil
	}
	return core.Registration{}, core.ErrNotFound
}

// Register implements core.Registry.
func (w *simWorld) Register(ctx context.Context, session string, n uint64, to core.Registration, ttl time.Duration) error {
	if err := w.wait(ctx, nil, 0, "core register "+session+because(ctx)); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	r, ok := w.registry[session]
	if ok && !r.ends.After(time.Now()) {
		r, ok = simRegistered{}, false
	}
	if written := ok && r.N == to.N && bytes.Equal(r.Body, to.Body); r.N != n && !written {
		return core.ErrStale
	}
	w.registry[session] = simRegistered{core.Registration{N: to.N, Body: bytes.Clone(to.Body)}, time.Now().Add(ttl)}
	return nil
}

// Forget implements core.Registry.
func (w *simWorld) Forget(context.Context, string, uint64) error { return errSimAway }

// noteResume takes note of what a core found: whether a client may get again what it had.
func (w *simWorld) noteResume(in *pb.ResumeCall, out *pb.ResumeAnswer) {
	unsaid := map[simBoot]bool{}
	for _, e := range w.edges {
		unsaid[simBoot{e.name(), e.boot}] = e.up && w.unsaid(e)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.orphans { // what takes so long is as good as lost, too
		unsaid[r.of] = true
	}
	w.noteLocked("core: RESUME with s %d from %s: %v %s, at %s, lo %d, within %d, tail %v, waiting %v", in.S, in.Edge, out.Outcome, out.Why, brief(fmt.Sprint(out.From)), out.Lo, out.Within, out.Tail, out.Waiting)
	if out.Outcome != pb.ResumeAnswer_OK {
		return
	}
	if out.Tail {
		w.stats.tails++
	}
	truth := false
	for _, g := range out.Record.Segments {
		b := simBoot{g.Edge, g.Boot}
		if w.lost[b] || unsaid[b] {
			truth = true
		}
	}
	if out.Tail && truth {
		w.tails[in.Session]++
	}
}

// unheardFor is how long a core may have waited for an edge, the moments included in which it asks again.
const unheardFor = 4 * time.Second

// unsaid tells of an edge that runs, with records that nobody else has: where it is cut off, or the way to it takes longer than cores wait, they are as
// good as lost.
func (w *simWorld) unsaid(e *simEdge) bool {
	if _, linked := e.state(); !linked {
		return true
	}
	unkept := e.journal.unkept() // which has a lock of its own
	w.mu.Lock()
	defer w.mu.Unlock()
	return unkept && time.Since(w.unheard[simBoot{e.name(), e.boot}]) < unheardFor
}

func (w *simWorld) noteCommit(in *pb.ResumeCommit, out *pb.ResumeCommitAnswer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if out.Ok {
		w.stats.moves++
		if in.Segment.Replayed > 0 {
			w.stats.replays++
		}
		n := max(w.stats.deepest, len(in.Before.Segments))
		w.stats.deepest = n
	}
	w.noteLocked("core: move to %s: ok %v, lost %v %s; s0 %d, lo %d, replayed %d, base %d, ic %d", in.Segment.Edge, out.Ok, out.Lost, out.Error, in.Segment.S0,
		in.Segment.Lo, in.Segment.Replayed, in.Segment.Base, in.Segment.Ic)
}
