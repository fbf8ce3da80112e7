package loadtest

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/starling-chat/starling/loadtest/client"
	"github.com/starling-chat/starling/proto"
)

// A node is a discord.js client that runs beside the test, discordjs/elsewhere.mjs: its dispatches are in the log.
type node struct {
	*client.Log
	cmd   *exec.Cmd
	stdin io.Closer
	ready chan struct{}
	ended sync.WaitGroup

	mu      sync.Mutex
	heard   []proto.ID  // messages, as the library's users are told
	sent    map[int]int // IDENTIFY and RESUME, by opcode
	trouble []string    // what it says of itself
}

// node starts a client that knows nothing but the address of the mesh.
func (w *town) node(dir, base string, bot client.Bot) *node {
	w.t.Helper()
	cfg, err := json.Marshal(map[string]any{"story": "elsewhere", "edges": []string{base}, "tokens": []string{bot.Token}})
	must(w.t, err)
	n := &node{Log: client.NewLog(w.tell), cmd: exec.CommandContext(w.t.Context(), "node", "story.mjs"), ready: make(chan struct{}), sent: map[int]int{}}
	n.cmd.Dir, n.cmd.Env = dir, append(os.Environ(), "STORY="+string(cfg))
	n.stdin = take[io.WriteCloser](w.t)(n.cmd.StdinPipe())
	out := take[io.ReadCloser](w.t)(n.cmd.StdoutPipe())
	var errs strings.Builder
	n.cmd.Stderr = &errs
	must(w.t, n.cmd.Start())
	n.ended.Go(func() {
		n.read(out)
		if err := n.cmd.Wait(); err != nil {
			n.complain("node: " + err.Error() + "\n" + errs.String())
		}
	})
	w.t.Cleanup(func() { n.cmd.Process.Kill(); n.ended.Wait() })
	select {
	case <-n.ready:
	case <-within(w.t, patience).Done():
		w.t.Fatalf("discord.js is not ready; it says %v", n.troubles())
	}
	return n
}

func (n *node) read(out io.Reader) {
	r := bufio.NewReader(out)
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return
		}
		var l struct {
			Packet *struct {
				Op int
				T  string
				S  int64
				D  json.RawMessage
			}
			Heard proto.ID
			Sent  int
			Ready bool
			Step  string
			OK    bool
		}
		switch err := json.Unmarshal(line, &l); {
		case err != nil || l.Step != "" && !l.OK:
			n.complain(string(line))
		case l.Packet != nil:
			n.Add(client.Event{Op: l.Packet.Op, T: l.Packet.T, S: l.Packet.S, D: l.Packet.D, At: time.Now()})
		case l.Ready:
			close(n.ready)
		default:
			n.mu.Lock()
			if l.Heard != 0 {
				n.heard = append(n.heard, l.Heard)
			}
			if l.Sent != 0 {
				n.sent[l.Sent]++
			}
			n.mu.Unlock()
		}
	}
}

func (n *node) complain(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.trouble = append(n.trouble, text)
}

func (n *node) troubles() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.trouble
}

// end has the client log off.
func (n *node) end() {
	n.stdin.Close()
	n.ended.Wait()
}
