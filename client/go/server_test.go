package client

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"go.uber.org/goleak"

	"github.com/starling-chat/starling/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A server is scripted by its test: each connection to the gateway is handed to it, HELLO sent.
type server struct {
	t     *testing.T
	http  *httptest.Server
	conns chan *peer
	beat  int // heartbeat interval in ms

	mu      sync.Mutex
	good    string // the token that REST takes
	serial  int
	answers []http.HandlerFunc // of the next calls of /api/v10/channels
}

type peer struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func newServer(t *testing.T) *server {
	s := &server{t: t, conns: make(chan *peer, 8), beat: 40_000, good: "t0"}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v10/gateway", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"url":"ws%s/gateway"}`, strings.TrimPrefix(s.http.URL, "http"))
	})
	mux.HandleFunc("GET /gateway", func(w http.ResponseWriter, r *http.Request) {
		conn, rw, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return
		}
		p := &peer{t, conn, rw.Reader}
		p.send(fmt.Sprintf(`{"op":10,"d":{"heartbeat_interval":%d}}`, s.beat))
		s.conns <- p
	})
	login := func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		var in map[string]string
		json.NewDecoder(r.Body).Decode(&in)
		if in["refresh_token"] == "used" || in["password"] == "wrong" {
			w.WriteHeader(401)
			fmt.Fprint(w, `{"message":"401: Unauthorized","code":0}`)
			return
		}
		s.serial++
		s.good = fmt.Sprintf("t%d", s.serial)
		fmt.Fprintf(w, `{"user":{"id":"1","username":"alice"},"token":%q,"refresh_token":"r%d","expires_in":900}`, s.good, s.serial)
	}
	mux.HandleFunc("POST /auth/login", login)
	mux.HandleFunc("POST /auth/refresh", login)
	mux.HandleFunc("GET /api/v10/users/@me", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if r.Header.Get("Authorization") != s.good {
			w.WriteHeader(401)
			fmt.Fprint(w, `{"message":"401: Unauthorized","code":0}`)
			return
		}
		fmt.Fprint(w, `{"id":"1","username":"alice"}`)
	})
	mux.HandleFunc("/api/v10/channels/", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		h := s.answers[0]
		s.answers = s.answers[1:]
		s.mu.Unlock()
		h(w, r)
	})
	s.http = httptest.NewServer(mux)
	t.Cleanup(s.http.Close)
	return s
}

func (s *server) client() *Client {
	s.t.Helper()
	c, err := New(Config{URL: s.http.URL})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(c.Close)
	if _, err := c.LogIn(s.t.Context(), "alice", "secret words"); err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *server) accept() *peer {
	s.t.Helper()
	select {
	case p := <-s.conns:
		s.t.Cleanup(func() { p.conn.Close() })
		return p
	case <-time.After(10 * time.Second):
		s.t.Fatal("nobody connected")
		return nil
	}
}

func (p *peer) send(text string) { ws.WriteFrame(p.conn, ws.NewTextFrame([]byte(text))) }

// expect reads until a payload of an opcode.
func (p *peer) expect(op proto.Opcode) map[string]any {
	p.t.Helper()
	p.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	for {
		f, err := ws.ReadFrame(p.r)
		if err != nil {
			p.t.Fatalf("waiting for op %d: %v", op, err)
		}
		f = ws.UnmaskFrame(f)
		var got struct {
			Op proto.Opcode   `json:"op"`
			D  map[string]any `json:"d"`
		}
		if json.Unmarshal(f.Payload, &got); got.Op == op && f.Header.OpCode == ws.OpText {
			return got.D
		}
	}
}

func (p *peer) closeCode() int {
	p.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	for {
		f, err := ws.ReadFrame(p.r)
		if err != nil {
			return 1006
		}
		if f.Header.OpCode == ws.OpClose {
			code, _ := ws.ParseCloseFrameData(ws.UnmaskFrame(f).Payload)
			return int(code)
		}
	}
}

func (p *peer) close(code int) {
	ws.WriteFrame(p.conn, ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusCode(code), "")))
}

func (p *peer) ready(seq int) {
	p.send(fmt.Sprintf(`{"op":0,"t":"READY","s":%d,"d":{"v":10,"user":{"id":"1","username":"alice"},"guilds":[],"session_id":"abc"}}`, seq))
}

// run runs a gateway and gives what it tells.
func (s *server) run(c *Client) (events chan Dispatch, statuses chan Status, end chan error, stop context.CancelFunc) {
	events, statuses, end = make(chan Dispatch, 100), make(chan Status, 100), make(chan error, 1)
	ctx, stop := context.WithCancel(s.t.Context())
	g := c.NewGateway(DefaultIntents, func(d Dispatch) { events <- d }, func(st Status) { statuses <- st })
	over := make(chan struct{})
	go func() { end <- g.Run(ctx); close(over) }()
	s.t.Cleanup(func() { stop(); <-over })
	return events, statuses, end, stop
}

func await[T any](t *testing.T, ch chan T, ok func(T) bool) T {
	t.Helper()
	for late := time.After(10 * time.Second); ; {
		select {
		case v := <-ch:
			if ok(v) {
				return v
			}
		case <-late:
			t.Fatal("it did not come")
		}
	}
}
