package client

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/starling-chat/starling/proto"
)

func online(s Status) bool { return s.Phase == Online }

// The life of a connection: identify, events, op 7, resume, a cut, op 9, a close by the person.
func TestGatewayStory(t *testing.T) {
	s := newServer(t)
	events, statuses, end, stop := s.run(s.client())
	p := s.accept()
	if d := p.expect(proto.OpIdentify); d["token"] != "t1" {
		t.Errorf("identified with %v", d)
	}
	p.ready(3)
	await(t, statuses, online)
	p.send(`{"op":0,"t":"TYPING_START","s":9,"d":{}}`)
	await(t, events, func(d Dispatch) bool { return d.Type == "TYPING_START" })
	p.send(`{"op":1,"d":null}`)
	p.expect(proto.OpHeartbeat)

	p.send(`{"op":7,"d":null}`)
	if code := p.closeCode(); code == 1000 || code == 1001 {
		t.Errorf("after op 7 closed with %d: that ends the session", code)
	}
	p = s.accept()
	if d := p.expect(proto.OpResume); d["session_id"] != "abc" || d["seq"] != 9.0 {
		t.Errorf("resumed with %v", d)
	}
	p.send(`{"op":0,"t":"RESUMED","s":10,"d":{}}`)
	if st := await(t, statuses, online); !st.Resumed {
		t.Error("not told as resumed")
	}

	p.conn.Close()
	if st := await(t, statuses, func(st Status) bool { return st.Phase == Waiting }); st.Why == "" || time.Until(st.Until) > time.Second {
		t.Errorf("waiting: %+v", st)
	}
	p = s.accept()
	p.expect(proto.OpResume)
	p.send(`{"op":9,"d":false}`)
	p.expect(proto.OpIdentify) // on the same connection
	p.ready(1)
	if st := await(t, statuses, online); st.Resumed {
		t.Error("a new session told as resumed")
	}
	stop()
	if code := p.closeCode(); code != 1000 {
		t.Errorf("closed with %d, want 1000", code)
	}
	if err := <-end; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestGatewayGivesUpADeadConnection(t *testing.T) {
	s := newServer(t)
	s.beat = 200
	_, statuses, _, _ := s.run(s.client())
	p := s.accept()
	p.expect(proto.OpIdentify)
	p.ready(1)
	st := await(t, statuses, func(st Status) bool { return st.Phase == Waiting })
	if st.Why != "the server stopped answering" {
		t.Errorf("why: %q", st.Why)
	}
	s.accept().expect(proto.OpResume)
}

// A token that the gateway refuses is renewed once; then a person has to log in.
func TestGatewayLoggedOut(t *testing.T) {
	s := newServer(t)
	_, _, end, _ := s.run(s.client())
	p := s.accept()
	p.expect(proto.OpIdentify)
	p.close(4004)
	p = s.accept()
	if d := p.expect(proto.OpIdentify); d["token"] != "t2" {
		t.Errorf("identified with %v, want a fresh token", d["token"])
	}
	p.close(4004)
	if err := await(t, end, func(error) bool { return true }); !errors.Is(err, ErrLoggedOut) {
		t.Errorf("got %v, want ErrLoggedOut", err)
	}
}

// One of a herd comes again when the server has said, or some time later; nonsense is overlooked.
func TestGatewayOfAHerd(t *testing.T) {
	for why, want := range map[string]time.Duration{
		proto.CloseRestart.ReasonAfter(20 * time.Second): 20 * time.Second,
		proto.CloseRestart.Reason():                      firstPause / 2,
		"x retry_after=1e300":                            firstPause / 2,
		"x retry_after=-5":                               firstPause / 2,
		"x retry_after=NaN":                              firstPause / 2,
		"x retry_after=0.000000001":                      firstPause / 2,
	} {
		s := newServer(t)
		_, statuses, _, _ := s.run(s.client())
		p := s.accept()
		p.expect(proto.OpIdentify)
		before := time.Now()
		ws.WriteFrame(p.conn, ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusCode(proto.CloseRestart), why)))
		until := await(t, statuses, func(s Status) bool { return s.Phase == Waiting }).Until
		if wait := until.Sub(before); wait < want || wait > 2*want+time.Second { // and what the test's own processor took
			t.Errorf("%q: waits %v, want %v and up to half of it more", why, wait, want)
		}
	}
}

func TestGatewayHostileFrames(t *testing.T) {
	for name, attack := range map[string]func(p *peer){
		"too long":   func(p *peer) { ws.WriteHeader(p.conn, ws.Header{Fin: true, OpCode: ws.OpText, Length: 1 << 40}) },
		"masked":     func(p *peer) { ws.WriteFrame(p.conn, ws.MaskFrame(ws.NewTextFrame([]byte("{}")))) },
		"no JSON":    func(p *peer) { p.send("[[[[") },
		"hello 0":    func(p *peer) { p.send(`{"op":10,"d":{"heartbeat_interval":0}}`) },
		"no s":       func(p *peer) { p.send(`{"op":0,"t":"READY","d":{}}`) },
		"fragments":  func(p *peer) { p.conn.Write(make([]byte, 2*maxFragments+2)) },
		"odd op 9":   func(p *peer) { p.send(`{"op":9,"d":{"x":1}}`) },
		"close 4013": func(p *peer) { p.close(4013) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			_, statuses, end, _ := s.run(s.client())
			p := s.accept()
			p.expect(proto.OpIdentify)
			attack(p)
			ended := make(chan bool, 1)
			over := make(chan struct{})
			defer close(over)
			go func() {
				for {
					select {
					case <-end: // fatal
					case st := <-statuses:
						if st.Phase != Waiting {
							continue
						}
					case <-over:
						return
					}
					ended <- true
					return
				}
			}()
			await(t, ended, func(bool) bool { return true })
		})
	}
}

func TestCallRenewsTheToken(t *testing.T) {
	s := newServer(t)
	c := s.client()
	s.mu.Lock()
	s.good = "another"
	s.mu.Unlock()
	if u, err := c.Me(t.Context()); err != nil || u.Username != "alice" {
		t.Errorf("got %v, %v", u, err)
	}
	if err := c.Use(Login{User: "alice", Token: "old", Refresh: "used"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Me(t.Context()); !errors.Is(err, ErrLoggedOut) {
		t.Errorf("got %v, want ErrLoggedOut", err)
	}
}

func TestCallOutcomes(t *testing.T) {
	s := newServer(t)
	c := s.client()
	answer := func(status int, header, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if header != "" {
				w.Header().Set("Retry-After", header)
			}
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	s.answers = []http.HandlerFunc{
		answer(429, "2", `{"message":"slow","retry_after":1.5,"global":true}`),
		answer(429, "2", `no JSON`),
		answer(400, "", `{"code":50035,"message":"Invalid Form Body","errors":{"content":{"_errors":[{"code":"X","message":"Too long."}]}}}`),
		answer(502, "", ``),
		answer(502, "", ``), answer(200, "", `[]`), // a GET is repeated
	}
	var limit *RateLimit
	if _, err := c.Send(t.Context(), 5, Draft{Content: "x"}); !errors.As(err, &limit) || limit.After != 1500*time.Millisecond || !limit.Global {
		t.Errorf("got %v, want 1.5 s, global", err)
	}
	if _, err := c.Send(t.Context(), 5, Draft{Content: "x"}); !errors.As(err, &limit) || limit.After != 2*time.Second {
		t.Errorf("got %v, want 2 s", err)
	}
	if _, err := c.Send(t.Context(), 5, Draft{Content: "x"}); Words(err) != "content: Too long" || Temporary(err) {
		t.Errorf("got %q", Words(err))
	}
	if _, err := c.Send(t.Context(), 5, Draft{Content: "x", Nonce: NewNonce()}); !Temporary(err) {
		t.Errorf("502: got %v, want temporary", err)
	}
	if list, err := c.History(t.Context(), 5, 0, 50); err != nil || len(list) != 0 {
		t.Errorf("got %v, %v", list, err)
	}
}

func TestBaseURL(t *testing.T) {
	for in, want := range map[string]string{"127.0.0.1:8080": "http://127.0.0.1:8080", "localhost": "http://localhost", "chat.example": "https://chat.example",
		" http://a:1/ ": "http://a:1", "ftp://a": "", "": "", "http://": "", "http://u:p@a": "", "http://a/x": "", "http://a?b": ""} {
		if got, err := BaseURL(in); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v; want %q", in, got, err, want)
		}
	}
}
