package compose

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The commands of compose.yaml run as processes, each service on a loopback address of its own in place of its container's, with
// certificates from certs.sh, on embedded stores; in the end a client gets an answer from an edge. Then certs.sh changes nothing more.
func TestCommandsRun(t *testing.T) {
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	f, dir := load(t), t.TempDir()
	mesh := filepath.Join(dir, "mesh")
	certify := func() {
		t.Helper()
		args := append([]string{mesh}, f.Services["certs"].Command[1:]...)
		if out, err := exec.Command("./certs.sh", args...).CombinedOutput(); err != nil {
			t.Fatalf("certs.sh: %v: %s", err, out)
		}
	}
	certify()
	// Out of 127/8, so that ports may be those of the file even while another run of this test has them, too.
	net := fmt.Sprintf("127.%d.%d", 1+rand.IntN(250), 1+rand.IntN(250))
	address := map[string]string{}
	for name := range f.roles() {
		address[name] = fmt.Sprintf("%s.%d", net, len(address)+1)
	}
	for name, flags := range f.roles() {
		var args []string
		for _, arg := range f.Services[name].Command {
			if flag, _, _ := strings.Cut(arg, "="); flag == "--postgres" || flag == "--cql" || flag == "--cql-replication" || flag == "--redis" {
				continue
			}
			for other, ip := range address {
				arg = strings.ReplaceAll(strings.ReplaceAll(arg, "="+other+":", "="+ip+":"), "//"+other+":", "//"+ip+":")
			}
			arg = strings.ReplaceAll(arg, "=0.0.0.0:", "="+address[name]+":")
			arg = strings.ReplaceAll(strings.ReplaceAll(arg, "=/mesh/", "="+mesh+"/"), "=/data", "="+filepath.Join(dir, name))
			args = append(args, arg)
		}
		start(t, flags["name"], exec.Command(binary, args...))
	}
	authority, err := os.ReadFile(filepath.Join(mesh, "edge", "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	client := &http.Client{Timeout: 12 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "localhost"}}}
	defer client.CloseIdleConnections()
	for edge, port := range map[string]string{"edge-1": "8443", "edge-2": "8444"} {
		url := "https://" + address[edge] + ":" + port
		until(t, edge+" answers", func() error {
			// A name that is free anew on each try: an answer that was lost made somebody.
			body := fmt.Sprintf(`{"username":"%s%d","password":"correct horse battery"}`, strings.ReplaceAll(edge, "-", "_"), time.Now().UnixNano()%1e9)
			r, err := client.Post(url+"/auth/register", "application/json", strings.NewReader(body))
			if err != nil {
				return err
			}
			defer r.Body.Close()
			answer, err := io.ReadAll(r.Body)
			if err == nil && r.StatusCode != http.StatusCreated {
				err = fmt.Errorf("%s: %s", r.Status, answer)
			}
			return err
		})
	}
	before := contents(t, mesh)
	certify()
	if after := contents(t, mesh); after != before {
		t.Error("certs.sh made something anew that was good")
	}
}

func until(t *testing.T, what string, try func() error) {
	t.Helper()
	deadline, tick := time.After(90*time.Second), time.NewTicker(200*time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain: %s: %v", what, err)
		}
	}
}

// start runs a command until the test ends, and shows what it said if the test failed.
func start(t *testing.T, name string, cmd *exec.Cmd) {
	t.Helper()
	said := &buffer{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		kill := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
		defer kill.Stop()
		cmd.Process.Signal(syscall.SIGTERM)
		err := cmd.Wait()
		if t.Failed() {
			t.Logf("%s ended: %v\n%s", name, err, said)
		}
	})
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// contents are all files below a folder.
func contents(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	for _, pattern := range []string{"*/*"} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(names), err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&all, "%s\n%s\n", name, text)
		}
	}
	return all.String()
}
