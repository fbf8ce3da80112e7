package loadtest

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/loadtest/mesh"
	"github.com/starling-chat/starling/proto"
)

const (
	crowd     = 240 // sessions on the edge that is drained
	crowdBots = 24
)

// Two hundred and forty sessions are on one edge, and people write. The edge is drained by command, later another one by SIGTERM: everybody is told, some
// go at once and some stay until they are closed, all go on at other edges with the session they had, and hear each message once and in order.
func TestDrain(t *testing.T) {
	base := take[int](t)(mesh.FreePorts(1))
	vip := net.JoinHostPort("127.0.0.1", strconv.Itoa(base))
	m := own(t, mesh.Options{Edges: 3, Processes: true, Args: []string{"--restart", "--vip", vip, "--drain-window", "2s"}})
	w := newTown(t, m)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	all := make([]*traveller, crowd)
	var bot client.Bot
	for i := range all {
		if i%(crowd/crowdBots) == 0 {
			bot, _ = w.bot(fmt.Sprint("nils", i), true)
		}
		all[i] = &traveller{token: bot.Token, patient: i%3 == 0, log: client.NewLog(w.tell), tell: w.tell, url: m.Gateway(0)}
		running.Go(func() { all[i].run(ctx) })
	}
	live := func(what string, ok func(x *traveller) bool) {
		t.Helper()
		deadline := time.After(3 * patience)
		for {
			n := 0
			for _, x := range all {
				if x.is(ok) {
					n++
				}
			}
			if n == len(all) {
				return
			}
			select {
			case <-deadline:
				t.Fatalf("%s: %d of %d after %v", what, n, len(all), 3*patience)
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	live("in the guild", func(x *traveller) bool { return x.live })

	writing, quit := context.WithCancel(ctx)
	said := make([][]proto.ID, 3)
	var writers sync.WaitGroup
	for i := range said {
		as := w.owner.At("http://" + vip)
		writers.Go(func() {
			for n := 0; writing.Err() == nil; n++ {
				nonce := fmt.Sprintf("%d.%d", i, n)
				for { // until it is acknowledged; the nonce makes it one, however often it is sent
					sent, err := as.Post(ctx, w.general, map[string]any{"content": nonce, "nonce": nonce, "enforce_nonce": true})
					if err == nil {
						said[i] = append(said[i], sent.ID)
						break
					}
					if ctx.Err() != nil {
						return
					}
					await(ctx, 20*time.Millisecond)
				}
				await(writing, 300*time.Millisecond)
			}
		})
	}
	await(ctx, time.Second)

	drain := func(args ...string) (at drained) {
		t.Helper()
		bin := take[string](t)(mesh.Build(mesh.Race))
		out, err := exec.CommandContext(within(t, 3*patience), bin, append([]string{"edge", "drain", "edge-1", "--json", "--data", m.DataDir()}, args...)...).Output()
		if err == nil {
			err = json.Unmarshal(out, &at)
		}
		if err != nil {
			t.Fatalf("edge drain %q: %v\n%s", args, err, out)
		}
		return at
	}
	at := drain("--window", "2s")
	if at.Clients != crowd || at.Sessions != crowd || at.Told != crowd || at.Connections != 0 || !at.Over || !at.Drains || at.Stops || at.Closed == 0 || at.Resumed != crowd {
		t.Errorf("after the drain: got %+v", at)
	}
	live("elsewhere", func(x *traveller) bool { return x.live && x.resumes > 0 })
	page := take[mesh.Role](t)(m.Role("edge-1")).Admin
	status := func(path string) int {
		t.Helper()
		resp := take[*http.Response](t)(http.Get("http://" + page + path))
		resp.Body.Close()
		return resp.StatusCode
	}
	if ready, healthy := status("/readyz"), status("/healthz"); ready != 503 || healthy != 200 {
		t.Errorf("a drained edge: readyz %d, healthz %d, want 503 and 200", ready, healthy)
	}
	if at = drain("--undo"); at.Drains || status("/readyz") != 200 {
		t.Errorf("undone: got %+v", at)
	}

	before := take[mesh.Role](t)(m.Role("edge-2")).PID
	must(t, m.Signal("edge-2", syscall.SIGTERM))
	for gone := within(t, 3*patience); take[mesh.Role](t)(m.Role("edge-2")).PID == before; await(gone, 20*time.Millisecond) {
		must(t, gone.Err())
	}
	live("live after SIGTERM", func(x *traveller) bool { return x.live })
	quit()
	writers.Wait()
	order := slices.Concat(said...)
	slices.Sort(order)
	live("at the last message", func(x *traveller) bool { return len(x.got) >= len(order) })
	stop()
	running.Wait()
	moves := 0
	for i, x := range all {
		if !slices.Equal(x.got, order) {
			t.Errorf("session %d: got %d messages, want %d, each once and in order", i, len(x.got), len(order))
		}
		if x.readies != 1 || x.refused != "" {
			t.Errorf("session %d: identified %d times, %s", i, x.readies, x.refused)
		}
		moves += x.resumes
	}
	t.Logf("%d messages, %d resumes", len(order), moves)
	if moves <= crowd {
		t.Errorf("%d resumes of %d sessions: SIGTERM moved nobody", moves, crowd)
	}
}

// drained is what starling edge drain --json tells.
type drained struct {
	Drains, Over, Stops                                            bool
	Clients, Told, Closed, Connections, Sessions, Resumed, Waiting int
}

// A traveller is a client that goes on elsewhere when it is told to, as libraries do, or, patient, when it is closed.
type traveller struct {
	token   string
	patient bool
	log     *client.Log
	tell    func(string)

	mu      sync.Mutex
	url     string // to use next
	session string
	live    bool
	got     []proto.ID
	readies int
	resumes int
	refused string // op 9, or a close that is not resumable
}

func (x *traveller) is(ok func(*traveller) bool) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return ok(x)
}

func (x *traveller) run(ctx context.Context) {
	for ctx.Err() == nil {
		x.stay(ctx)
		x.mu.Lock()
		x.live = false
		x.mu.Unlock()
		await(ctx, 50*time.Millisecond)
	}
}

// stay is one connection.
func (x *traveller) stay(ctx context.Context) {
	x.mu.Lock()
	url := x.url
	x.mu.Unlock()
	ctl := make(chan proto.Opcode, 16)
	dial, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	g, err := client.Dial(dial, url, client.Options{Log: x.log, Tell: x.tell, Each: func(e client.Event) { x.hear(e, ctl) }})
	if err != nil {
		return
	}
	defer g.Cut()
	ended := make(chan proto.CloseCode, 1)
	closed, forget := context.WithCancel(ctx)
	defer forget()
	go func() { code, _ := g.Closed(closed); ended <- code }()
	for {
		select {
		case o := <-ctl:
			switch {
			case o == proto.OpHello && x.session == "":
				g.Identify(x.token, nil)
			case o == proto.OpHello:
				g.Resume(x.token, x.session, x.log.S())
			case o == proto.OpReconnect && !x.patient:
				return
			}
		case code := <-ended:
			if code >= proto.CloseAuthFailed && code <= proto.CloseTimeout && ctx.Err() == nil {
				x.mu.Lock()
				x.refused += fmt.Sprintf("closed with %d ", code)
				x.mu.Unlock()
			}
			return
		}
	}
}

func (x *traveller) hear(e client.Event, ctl chan<- proto.Opcode) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch o := proto.Opcode(e.Op); o {
	case proto.OpHello, proto.OpReconnect:
		ctl <- o
	case proto.OpInvalidSession:
		x.refused += "op 9 "
	}
	switch e.T {
	case "READY":
		var ready proto.Ready
		if e.Into(&ready) == nil {
			x.session, x.url = ready.SessionID, ready.ResumeGatewayURL
		}
		x.readies++
	case "GUILD_CREATE":
		x.live = true
	case "RESUMED":
		x.resumes++
		x.live = true
	case "MESSAGE_CREATE":
		var m struct{ ID proto.ID }
		if e.Into(&m) == nil {
			x.got = append(x.got, m.ID)
		}
	}
}
