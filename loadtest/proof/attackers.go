package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gobwas/ws"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/loadtest/mesh"
)

const attackersName = "attackers" // the hidden subcommand

func init() {
	proofs[attackersName] = func(_ context.Context, r *report, _ []string) error { return runAttackers(os.Stdin, r.out) }
}

// orders say whom to attack, as a line of JSON.
type orders struct {
	Parts               []string // of rest, logins, frames, idle; nil = all
	HTTP, Gateway, Addr []string // of each edge
	Channel             string
	Good, Forged        string // Authorization
}

func (o orders) has(part string) bool { return o.Parts == nil || slices.Contains(o.Parts, part) }

// outcome is what came of it.
type outcome struct {
	Took                           time.Duration
	Calls, Logins, Frames, Sockets int
	Failures                       int // 5xx that nobody should get
	Answers                        map[string]int
}

// runAttackers reads orders, attacks until in ends, and writes the outcome.
func runAttackers(in io.Reader, out io.Writer) error {
	if err := giveWay(); err != nil {
		return err
	}
	r := bufio.NewReader(in)
	line, err := r.ReadBytes('\n')
	if err != nil {
		return err
	}
	a := &attackers{got: outcome{Answers: map[string]int{}}}
	if err := json.Unmarshal(line, &a.o); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	began := time.Now()
	a.begin(ctx)
	io.Copy(io.Discard, r)
	a.mu.Lock()
	a.got.Took = time.Since(began)
	got := a.got
	b, err := json.Marshal(got)
	a.mu.Unlock()
	stop()
	a.wg.Wait()
	if err != nil {
		return err
	}
	_, err = out.Write(b)
	return err
}

// giveWay makes the process give way to the mesh, and lets it have as many sockets as it may.
func giveWay() error {
	if err := mesh.GiveWay(os.Getpid()); err != nil {
		return err
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

// attackers do what nobody should.
type attackers struct {
	o  orders
	wg sync.WaitGroup

	mu  sync.Mutex
	got outcome
}

func (a *attackers) begin(ctx context.Context) {
	rest := client.NewREST(a.o.HTTP[1], nil)
	forged, good := rest.As(a.o.Forged), rest.As(a.o.Good)
	channel := "/channels/" + a.o.Channel
	deep := `{"embeds":` + strings.Repeat("[", 20000)
	kinds := []func(i int){
		func(int) { a.call(ctx, forged, "GET", "/users/@me", nil) },
		func(int) { a.call(ctx, good, "POST", channel+"/messages", deep) },
		func(int) { a.call(ctx, good, "POST", channel+"/messages", `{"content":`+strings.Repeat("9", 400)+`}`) },
		func(i int) { a.call(ctx, good, "GET", fmt.Sprintf("/channels/%d/messages", 1<<62+i), nil) },
		func(i int) { a.call(ctx, good, "DELETE", fmt.Sprintf("/guilds/%d", 1<<61+i), nil) },
		func(int) { a.call(ctx, good, "GET", "/channels/..%2f..%2fusers/@me", nil) },
	}
	if a.o.has("rest") {
		a.each(ctx, attackRate, 8, func(i int) { kinds[i%len(kinds)](i) })
	}
	if a.o.has("logins") {
		a.each(ctx, loginRate, 40, func(i int) {
			a.call(ctx, rest, "POST", "/auth/login", map[string]any{"login": fmt.Sprint("nobody", i), "password": "wrong password"})
		})
	}
	if a.o.has("frames") {
		a.each(ctx, frameRate, 4, func(i int) { a.frames(ctx, i) })
	}
	if a.o.has("idle") {
		a.wg.Go(func() { a.idle(ctx) })
	}
	a.wg.Go(func() {
		<-ctx.Done()
		rest.HTTP.CloseIdleConnections()
	})
}

// idle opens sockets as fast as it can, and says nothing.
func (a *attackers) idle(ctx context.Context) {
	conns := make([]net.Conn, 0, idleSockets)
	for len(conns) < idleSockets && ctx.Err() == nil {
		c, err := net.DialTimeout("tcp", a.o.Addr[0], time.Second)
		if err != nil {
			continue
		}
		conns = append(conns, c)
		a.mu.Lock()
		a.got.Sockets++
		a.mu.Unlock()
	}
	<-ctx.Done()
	for _, c := range conns {
		c.Close()
	}
}

// each calls f so often per second, from several goroutines.
func (a *attackers) each(ctx context.Context, perSecond, workers int, f func(i int)) {
	todo := make(chan int)
	for range workers {
		a.wg.Go(func() {
			for i := range todo {
				f(i)
			}
		})
	}
	a.wg.Go(func() {
		defer close(todo)
		began := time.Now()
		tick := time.NewTicker(time.Second / time.Duration(perSecond))
		defer tick.Stop()
		for i := 0; ; {
			select {
			case <-ctx.Done():
				return
			case now := <-tick.C:
				// What a late tick left out is made up for.
				for ; now.Sub(began) >= time.Duration(i)*time.Second/time.Duration(perSecond); i++ {
					select {
					case todo <- i:
					case <-ctx.Done():
						return
					}
				}
			}
		}
	})
}

func (a *attackers) call(ctx context.Context, as *client.REST, method, path string, body any) {
	got, err := as.Raw(ctx, method, path, body)
	if err != nil {
		return // the attack is over
	}
	login := path == "/auth/login"
	a.mu.Lock()
	defer a.mu.Unlock()
	if queue := got.Status == 503 && login && got.Header.Get("Retry-After") != ""; got.Status >= 500 && !queue {
		a.got.Failures++
	}
	if login {
		a.got.Logins++
	} else {
		a.got.Calls++
	}
	a.got.Answers[fmt.Sprint(got.Status)]++
}

// frames connects and sends what closes the connection.
func (a *attackers) frames(ctx context.Context, i int) {
	c, _, _, err := ws.Dial(ctx, a.o.Gateway[i%len(a.o.Gateway)]+"?v=10&encoding=json")
	if err != nil {
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(2 * time.Second))
	bad := []string{`{"op":`, `{"op":"x"}`, `{"op":1,"d":"` + strings.Repeat("x", 5000) + `"}`, "\xff\xfe", `{"op":2,"d":{"token":"a.b.c"}}`}
	ws.WriteFrame(c, ws.MaskFrame(ws.NewTextFrame([]byte(bad[i%len(bad)]))))
	for {
		if f, err := ws.ReadFrame(c); err != nil || f.Header.OpCode == ws.OpClose {
			break
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.got.Frames++
	a.got.Answers["gateway"]++
}
