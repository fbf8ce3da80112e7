package edge_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/starling-chat/starling/edge"
	"github.com/starling-chat/starling/proto/pb"
)

func do(t *testing.T, c *http.Client, method, url, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	return resp, string(b)
}

func newHTTPClient(t *testing.T) *http.Client {
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 15 * time.Second}
}

func TestRESTIsForwarded(t *testing.T) {
	w := newWorld(t, nil)
	calls := make(chan *pb.RestCall, 10)
	w.core.OnREST(func(c *pb.RestCall) *pb.RestAnswer {
		calls <- c
		return &pb.RestAnswer{Status: 201, Body: []byte(`{"ok":true}`), Headers: []*pb.Header{{Name: "Content-Type", Value: "application/json"},
			{Name: "X-RateLimit-Limit", Value: "5"}, {Name: "Connection", Value: "close"}}}
	})
	c, base := newHTTPClient(t), "http://"+w.edge.HTTPAddr().String()
	resp, body := do(t, c, "POST", base+"/api/v10//channels/1/messages?a=b&c", `{"content":"x"}`, "Authorization", "Bot t", "X-Audit-Log-Reason", "why")
	if resp.StatusCode != 201 || body != `{"ok":true}` || resp.Header.Get("Content-Type") != "application/json" || resp.Header.Get("Via") == "" ||
		resp.Header.Get("X-Ratelimit-Limit") != "5" {
		t.Fatalf("%d %s %v", resp.StatusCode, body, resp.Header)
	}
	call := <-calls
	seen := map[string]string{}
	for _, h := range call.Headers {
		seen[h.Name] = h.Value
	}
	left := time.Until(time.UnixMilli(call.DeadlineMs))
	if call.Target != "/api/v10//channels/1/messages?a=b&c" || call.Method != "POST" || string(call.Body) != `{"content":"x"}` || len(call.Id) != 16 ||
		call.Remote != "127.0.0.1" || call.GatewayUrl != w.edge.GatewayURL() || seen["Authorization"] != "Bot t" || seen["X-Audit-Log-Reason"] != "why" ||
		left < 5*time.Second || left > 10*time.Second {
		t.Fatalf("call %+v, %v left", call, left)
	}
	if resp, _ := do(t, c, "GET", base+"/gateway", ""); resp.StatusCode != 201 {
		t.Fatalf("GET /gateway: %d", resp.StatusCode)
	}
	<-calls

	at := strings.Repeat("x", 512<<10)
	if resp, _ := do(t, c, "POST", base+"/x", at); resp.StatusCode != 201 {
		t.Fatalf("512 KiB: %d", resp.StatusCode)
	}
	<-calls
	if resp, body := do(t, c, "POST", base+"/x", at+at); resp.StatusCode != 413 || !strings.Contains(body, "40005") ||
		resp.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("1 MiB: %d %s", resp.StatusCode, body)
	}
	if resp, body := do(t, c, "TRACE", base+"/x", ""); resp.StatusCode != 405 || !strings.Contains(body, `"message"`) {
		t.Fatalf("TRACE: %d %s", resp.StatusCode, body)
	}
	resp, _ = do(t, c, "OPTIONS", base+"/api/v10/x", "", "Origin", "https://any.example", "Access-Control-Request-Method", "PATCH")
	if resp.StatusCode != 204 || resp.Header.Get("Access-Control-Allow-Origin") != "*" ||
		!strings.Contains(resp.Header.Get("Access-Control-Allow-Headers"), "Authorization") {
		t.Fatalf("OPTIONS: %d %v", resp.StatusCode, resp.Header)
	}
}

func TestRESTBusyAndUnanswered(t *testing.T) {
	w := newWorld(t, func(c *edge.Config) { c.MaxRequests, c.RESTTimeout = 1, time.Second })
	entered, leave := make(chan bool, 1), make(chan bool)
	w.core.OnREST(func(*pb.RestCall) *pb.RestAnswer { entered <- true; <-leave; return &pb.RestAnswer{Status: 204} })
	c, url := newHTTPClient(t), "http://"+w.edge.HTTPAddr().String()+"/x"
	first := make(chan int, 1)
	go func() {
		resp, err := c.Get(url)
		if err != nil {
			first <- 0
			return
		}
		resp.Body.Close()
		first <- resp.StatusCode
	}()
	<-entered
	resp, body := do(t, c, "GET", url, "")
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "1" || !strings.Contains(body, "retry_after") {
		t.Fatalf("one past the limit: %d %s", resp.StatusCode, body)
	}
	if code := <-first; code != 503 {
		t.Fatalf("unanswered: %d, want 503", code)
	}
	close(leave)
}

// A core is slower than the edge's patience with one try. The call goes to another, in case that the first has died with it; but it has not,
// and is heard.
func TestRESTHearsASlowCore(t *testing.T) {
	w := newWorld(t, nil)
	repeated, done := make(chan struct{}), make(chan struct{})
	defer close(done)
	w.core.OnREST(func(c *pb.RestCall) *pb.RestAnswer {
		if c.Attempt == 0 {
			<-repeated
			return &pb.RestAnswer{Status: 201}
		}
		close(repeated)
		<-done
		return &pb.RestAnswer{Status: 202}
	})
	if resp, body := do(t, newHTTPClient(t), "POST", "http://"+w.edge.HTTPAddr().String()+"/x", "{}"); resp.StatusCode != 201 {
		t.Errorf("got %d %s, want the first core's 201", resp.StatusCode, body)
	}
}

func TestTLS(t *testing.T) {
	donor := httptest.NewTLSServer(http.NotFoundHandler()) // has a certificate for 127.0.0.1
	cert := donor.TLS.Certificates[0]
	pool := x509.NewCertPool()
	pool.AddCert(donor.Certificate())
	donor.Close()
	w := newWorld(t, func(c *edge.Config) { c.TLSAddr, c.Cert = "127.0.0.1:0", &cert })
	w.core.OnREST(func(*pb.RestCall) *pb.RestAnswer { return &pb.RestAnswer{Status: 200, Body: []byte("{}")} })
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(tr.CloseIdleConnections)
	resp, _ := do(t, &http.Client{Transport: tr, Timeout: 10 * time.Second}, "GET", "https://"+w.edge.TLSAddr().String()+"/x", "")
	if resp.StatusCode != 200 || resp.TLS.Version != tls.VersionTLS13 {
		t.Fatalf("%d, TLS %x", resp.StatusCode, resp.TLS.Version)
	}
	if _, err := tls.Dial("tcp", w.edge.TLSAddr().String(), &tls.Config{RootCAs: pool, MaxVersion: tls.VersionTLS12}); err == nil {
		t.Error("TLS 1.2 is accepted")
	}
}

func TestConfigTellsAllMistakes(t *testing.T) {
	_, err := edge.New(edge.Config{PublicURL: "ftp://x", QueueBytes: 10, RingBytes: 10})
	for _, key := range []string{"leaf url", "http addr", "public url", "ring bytes"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%q is not named in: %v", key, err)
		}
	}
	if _, err := edge.New(edge.Config{LeafURL: "nats://x", HTTPAddr: "0.0.0.0:0"}); err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("plain text for everybody: %v", err)
	}
}
