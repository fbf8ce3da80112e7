package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"runtime"
	"sync"
	"time"

	"golang.org/x/crypto/argon2"
)

const (
	hashIdle  = 30 * time.Second // a process without work is ended, and its memory with it
	hashLimit = 8 * time.Second  // a hash takes some 30 ms, and more where others go first; beyond, its process is killed
)

// niceness leaves a quarter of a core to hashes where another wants all of it: logins get slow under load, but not stuck, as they would at 19.
const niceness = 5

// hashWork and hashDone are a line of JSON each, on standard input and output of a process.
type hashWork struct {
	Password, Salt []byte
	Time, Memory   uint32
	Threads        uint8
	Len            uint32
}

type hashDone struct{ Sum []byte }

// ServeHashes is the whole life of a process that computes hashes: it makes itself nice and answers, one after the other, until in ends.
func ServeHashes(in io.Reader, out io.Writer) error {
	runtime.GOMAXPROCS(1)
	if err := beNice(); err != nil {
		return fmt.Errorf("hasher: %w", err)
	}
	r, w := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var work hashWork
		err := r.Decode(&work)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("hasher: %w", err)
		}
		sum := argon2.IDKey(work.Password, work.Salt, work.Time, work.Memory, work.Threads, work.Len)
		if err := w.Encode(hashDone{sum}); err != nil {
			return fmt.Errorf("hasher: %w", err)
		}
	}
}

// hashProcesses are those of one Hasher, which never asks for more at once than it has slots.
type hashProcesses struct {
	command []string
	log     *slog.Logger

	mu     sync.Mutex
	idle   []*hashProcess
	closed bool
	warned time.Time
}

func newHashProcesses(command []string, log *slog.Logger) *hashProcesses {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &hashProcesses{command: command, log: log}
}

// compute asks an idle process or a new one, and a second one where the first is found dead.
func (p *hashProcesses) compute(a argonHash, password string, n uint32) (sum []byte, err error) {
	work := hashWork{Password: []byte(password), Salt: a.salt, Time: a.time, Memory: a.memory, Threads: a.threads, Len: n}
	for began := time.Now(); time.Since(began) < hashLimit/2; {
		var h *hashProcess
		if h, err = p.take(); err != nil {
			break
		}
		if sum, err = h.compute(work); err == nil {
			p.put(h)
			return sum, nil
		}
		h.end()
		if h.rest == nil {
			break // a new one: the next would be no better
		}
	}
	p.warn(err)
	return nil, err
}

func (p *hashProcesses) take() (*hashProcess, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errors.New("closed")
	}
	for len(p.idle) > 0 {
		h := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		if h.rest.Stop() {
			return h, nil
		} // else its time was up this very moment, and it is being ended
	}
	return startHashProcess(p.command)
}

func (p *hashProcesses) put(h *hashProcess) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		h.end()
		return
	}
	h.rest = time.AfterFunc(hashIdle, func() {
		p.mu.Lock()
		for i, x := range p.idle {
			if x == h {
				p.idle = append(p.idle[:i], p.idle[i+1:]...)
				break
			}
		}
		p.mu.Unlock()
		h.end()
	})
	p.idle = append(p.idle, h)
}

func (p *hashProcesses) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	for _, h := range idle {
		if h.rest.Stop() {
			h.end()
		}
	}
}

// warn is a line a minute at most: logins go on, at the cost of everything else.
func (p *hashProcesses) warn(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed && time.Since(p.warned) > time.Minute {
		p.warned = time.Now()
		p.log.Warn("password hashes are computed in this process", "command", p.command[0], "err", err)
	}
}

// A hashProcess is one child. It belongs to who computes, or else rests in the list of idle ones.
type hashProcess struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	w    *json.Encoder
	r    *json.Decoder
	rest *time.Timer // ends it; nil before its first rest
}

func startHashProcess(command []string) (*hashProcess, error) {
	cmd := exec.Command(command[0], command[1:]...)
	apart(cmd)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &hashProcess{cmd: cmd, in: in, w: json.NewEncoder(in), r: json.NewDecoder(out)}, nil
}

func (h *hashProcess) compute(work hashWork) ([]byte, error) {
	late := time.AfterFunc(hashLimit, func() { h.cmd.Process.Kill() })
	defer late.Stop()
	if err := h.w.Encode(work); err != nil {
		return nil, err
	}
	var done hashDone
	if err := h.r.Decode(&done); err != nil {
		return nil, err
	}
	if len(done.Sum) != int(work.Len) {
		return nil, fmt.Errorf("%d bytes of hash, want %d", len(done.Sum), work.Len)
	}
	return done.Sum, nil
}

// end waits for the process, which ends with its input; also when this one is killed, so that none is left behind.
func (h *hashProcess) end() {
	h.in.Close()
	late := time.AfterFunc(time.Second, func() { h.cmd.Process.Kill() })
	defer late.Stop()
	h.cmd.Wait()
}
