package loadtest

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/loadtest/mesh"
	"github.com/starling-chat/starling/proto"
)

const (
	kills  = 20 // of the edge that a library is at
	rushes = 4  // two kills in a row

	pause = 300 * time.Millisecond // no library comes back sooner: what is heard before was on its way when the edge died
)

// A flight is a library's session that loses one edge after the other.
type flight struct {
	name  string
	log   *client.Log
	user  proto.ID
	times []time.Duration // from the kill to RESUMED
	twice []time.Duration // from the second of two kills
	other int             // resumed at another edge than the one that was killed
	mark  int
	at    mesh.Role
}

// Unmodified discordgo and discord.js come by one address to whichever edge is alive. Theirs is killed, twenty times over, while others write: each
// time they resume at another one, by themselves, and have each message once, in order. Then the edge where they have just arrived is killed as
// well. Nobody identifies anew.
func TestLibrariesElsewhere(t *testing.T) {
	dir := discordJS(t)
	vip := net.JoinHostPort("127.0.0.1", strconv.Itoa(take[int](t)(mesh.FreePorts(1))))
	// Two libraries lose two edges each at once: two are left. Where no edge is to be had at all, discord.js identifies anew by itself.
	m := own(t, mesh.Options{Edges: 6, Processes: true, Args: []string{"--restart", "--vip", vip}})
	w, o := newTown(t, m), newLookout(t, m)
	ctx, tick := within(t, patience), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for err := w.owner.At("http://"+vip).Call(ctx, "GET", "/gateway", nil, nil); err != nil; err = w.owner.At("http://"+vip).Call(ctx, "GET", "/gateway", nil, nil) {
		select { // the address looks for edges that are alive from time to time
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal(err)
		}
	}
	annBot, _ := w.bot("ann", true)
	benBot, _ := w.bot("ben", true)
	listen() // discordgo tells of every end
	sockets := &tap{sent: map[proto.Opcode]int{}}
	ann := w.gopherAt(vip, annBot, func(g *gopher) { g.Dialer = &websocket.Dialer{NetDial: sockets.dial} })
	ben := w.node(dir, "http://"+vip, benBot)
	for _, l := range []*client.Log{ann.Log, ben.Log} {
		take[client.Event](t)(l.Await(within(t, patience), 0, event("GUILD_CREATE")))
	}
	before := o.edges()
	writer := w.writes(w.owner.At("http://"+vip), w.general, 10*time.Millisecond)
	flights := []*flight{{name: "discordgo", log: ann.Log, user: annBot.ID}, {name: "discord.js", log: ben.Log, user: benBot.ID}}
	began := time.Now()
	for round := 0; round < kills || flights[0].other < kills || flights[1].other < kills; round++ {
		if round == 2*kills {
			t.Fatalf("after %d rounds %d and %d were at another edge", round, flights[0].other, flights[1].other)
		}
		o.round(flights)
	}
	single := time.Since(began)
	for range rushes {
		o.rush(flights)
	}
	must(t, m.Ready(within(t, 3*patience)))
	sent := writer.ended()
	last := proto.Message{ID: sent[len(sent)-1]}
	for _, f := range flights {
		if _, err := f.log.Await(within(t, patience), 0, says(last)); err != nil {
			t.Errorf("%s: the last message: %v", f.name, err)
		}
		exactly(t, f.name, heard(f.log, w.general), sent)
		if n := f.log.Count(0, event("READY")); n != 1 {
			t.Errorf("%s: READY %d times, want 1", f.name, n)
		}
		t.Logf("%s: killed → RESUMED %s; second of two %s", f.name, spread(f.times), spread(f.twice))
	}
	ben.end()
	exactly(t, "discord.js, as its users are told", ben.heard, sent)
	for _, s := range ben.troubles() {
		t.Errorf("discord.js: %s", s)
	}
	if n := sockets.count(proto.OpIdentify); n != 1 {
		t.Errorf("discordgo sent IDENTIFY %d times, want 1", n)
	}
	if ben.sent[2] != 1 {
		t.Errorf("discord.js sent IDENTIFY %d times, want 1", ben.sent[2])
	}
	o.nobodyIdentified(before)
	t.Logf("%d messages, %d sent again; %d RESUME by discordgo, %d by discord.js; %v for single kills, %v in all", len(sent), writer.repeats,
		sockets.count(proto.OpResume), ben.sent[6], single.Round(time.Second), time.Since(began).Round(time.Second))
}

// round kills the edges of all.
func (o *lookout) round(flights []*flight) {
	o.t.Helper()
	must(o.t, o.m.Ready(within(o.t, 3*patience))) // whoever was killed is back
	killed := o.kill(flights)
	for _, f := range flights {
		f.times = append(f.times, o.resumed(f, killed).Sub(killed))
		if to := o.find(f.user); to.Name != f.at.Name {
			f.other++
		}
	}
}

// kill ends the edges that the flights are at, and tells when.
func (o *lookout) kill(flights []*flight, not ...mesh.Role) time.Time {
	o.t.Helper()
	var at []mesh.Role
	for _, f := range flights {
		f.mark, f.at = f.log.Mark(), o.find(f.user, not...)
		if !slices.Contains(at, f.at) {
			at = append(at, f.at)
		}
	}
	for _, r := range at {
		o.signal(r, syscall.SIGKILL)
	}
	return time.Now()
}

// resumed waits for RESUMED since the kill, and after a time.
func (o *lookout) resumed(f *flight, after time.Time) time.Time {
	o.t.Helper()
	e, err := f.log.Await(within(o.t, 2*patience), f.mark, func(e client.Event) bool { return event("RESUMED")(e) && e.At.After(after) })
	if err != nil {
		o.t.Fatalf("%s: RESUMED: %v; seen %v", f.name, err, f.log.Since(f.mark))
	}
	return e.At
}

// rush kills the edge of each, and then the one that it comes to, as soon as it is live there. Not sooner: a connection that breaks before HELLO
// makes discord.js identify anew by itself, whatever the server could do.
func (o *lookout) rush(flights []*flight) {
	o.t.Helper()
	must(o.t, o.m.Ready(within(o.t, 3*patience)))
	o.kill(flights)
	killed := map[*flight]time.Time{}
	for _, f := range slices.Backward(flights) { // discord.js comes back sooner
		o.resumed(f, time.Time{})
		f.mark, f.at = f.log.Mark(), o.find(f.user, f.at)
		o.signal(f.at, syscall.SIGKILL)
		killed[f] = time.Now()
	}
	for _, f := range flights {
		f.twice = append(f.twice, o.resumed(f, killed[f].Add(pause)).Sub(killed[f]))
	}
}

// nobodyIdentified wants the edges that were started anew to have seen RESUME alone, and cores to have refused none.
func (o *lookout) nobodyIdentified(before []mesh.Role) {
	o.t.Helper()
	for i, r := range o.edges() {
		if n := o.figure(r, "starling_edge_identifies_total"); r.PID != before[i].PID && n != 0 {
			o.t.Errorf("%s: %v IDENTIFY, want none", r.Name, n)
		}
	}
	core := take[mesh.Role](o.t)(o.m.Role("core-1"))
	for _, name := range []string{`starling_resume_calls_total{outcome="INVALID"}`, `starling_resume_calls_total{outcome="BAD_TOKEN"}`,
		"starling_resume_tails_total"} {
		if n := o.figure(core, name); n != 0 {
			o.t.Errorf("core: %s is %v, want 0", name, n)
		}
	}
}

// spread is a distribution in a line.
func spread(times []time.Duration) string {
	if len(times) == 0 {
		return "never"
	}
	slices.Sort(times)
	var out []string
	for _, q := range []int{0, 50, 90, 95, 100} {
		out = append(out, fmt.Sprintf("p%d %v", q, times[q*(len(times)-1)/100].Round(time.Millisecond)))
	}
	return fmt.Sprintf("%d times: %s", len(times), strings.Join(out, ", "))
}
