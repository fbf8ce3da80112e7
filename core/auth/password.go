package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"

	"golang.org/x/crypto/argon2"
)

// ErrBusy says that too many password checks wait already: answer 503 and Retry-After.
var ErrBusy = errors.New("too many password hashes at once")

// What new hashes cost: OWASP's second choice for argon2id, 19 MiB and some 30 ms.
const (
	argonTime    = 2
	argonMemory  = 19 * 1024 // KiB
	argonThreads = 1
	saltLen      = 16
	hashLen      = 32
)

// HasherConfig bounds a Hasher.
type HasherConfig struct {
	AtOnce int // hashes that are computed at the same time
	Queue  int // more that wait; beyond, ErrBusy
	// Command is a program that calls ServeHashes: hashes are computed there, one process for each of AtOnce, started when it is needed
	// and ended when it is idle. They are nice, so that whatever else this machine does goes first, and their memory is not this
	// process's to collect. Empty: in this process, as also while the program cannot be run.
	Command []string
	Log     *slog.Logger // nil = none
}

// A Hasher hashes and checks passwords with argon2id, so many at once and no more: each takes 19 MiB. Any goroutine may call it.
type Hasher struct {
	slots     chan struct{}
	waiting   atomic.Int64
	queue     int64
	dummy     string // what unknown users are checked against
	processes *hashProcesses
}

// NewHasher makes a Hasher; Close ends the processes that it started.
func NewHasher(cfg HasherConfig) *Hasher {
	var fake argonHash
	fake.memory, fake.time, fake.threads = argonMemory, argonTime, argonThreads
	fake.salt, fake.sum = make([]byte, saltLen), make([]byte, hashLen)
	rand.Read(fake.salt)
	rand.Read(fake.sum)
	h := &Hasher{slots: make(chan struct{}, cfg.AtOnce), queue: int64(cfg.Queue), dummy: fake.String()}
	if len(cfg.Command) > 0 {
		h.processes = newHashProcesses(cfg.Command, cfg.Log)
	}
	return h
}

// Close ends idle processes, and busy ones once they are done. The Hasher goes on without.
func (h *Hasher) Close() {
	if h.processes != nil {
		h.processes.close()
	}
}

// Hash gives the PHC form of a password: $argon2id$v=19$m=..,t=..,p=..$salt$hash.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	if err := h.enter(ctx); err != nil {
		return "", err
	}
	defer h.leave()
	a := argonHash{memory: argonMemory, time: argonTime, threads: argonThreads, salt: make([]byte, saltLen)}
	rand.Read(a.salt)
	a.sum = h.compute(a, password, hashLen)
	return a.String(), nil
}

// Verify tells whether a password fits a hash. With an empty hash (nobody has that name) it answers false after the same work.
func (h *Hasher) Verify(ctx context.Context, phc, password string) (bool, error) {
	known := phc != ""
	if !known {
		phc = h.dummy
	}
	a, err := parseArgon(phc)
	if err != nil {
		return false, err
	}
	if err := h.enter(ctx); err != nil {
		return false, err
	}
	defer h.leave()
	sum := h.compute(a, password, uint32(len(a.sum)))
	return subtle.ConstantTimeCompare(sum, a.sum) == 1 && known, nil
}

func (h *Hasher) enter(ctx context.Context) error {
	select {
	case h.slots <- struct{}{}:
		return nil
	default:
	}
	if h.waiting.Add(1) > h.queue {
		h.waiting.Add(-1)
		hashesRefused.Inc()
		return ErrBusy
	}
	hashesWaiting.Inc()
	defer hashesWaiting.Dec()
	defer h.waiting.Add(-1)
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *Hasher) leave() { <-h.slots }

// compute is called by who has a slot.
func (h *Hasher) compute(a argonHash, password string, n uint32) []byte {
	if h.processes != nil {
		if sum, err := h.processes.compute(a, password, n); err == nil {
			return sum
		}
	}
	return a.compute(password, n)
}

type argonHash struct {
	memory, time uint32
	threads      uint8
	salt, sum    []byte
}

func (a argonHash) compute(password string, n uint32) []byte {
	return argon2.IDKey([]byte(password), a.salt, a.time, a.memory, a.threads, n)
}

func (a argonHash) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, a.memory, a.time, a.threads,
		b64.EncodeToString(a.salt), b64.EncodeToString(a.sum))
}

var errPHC = errors.New("password hash: not argon2id in PHC form, or beyond its bounds")

// parseArgon reads a PHC string. Its bounds keep a damaged row from taking the memory of the machine.
func parseArgon(phc string) (argonHash, error) {
	var a argonHash
	if len(phc) > 512 {
		return a, errPHC
	}
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return a, errPHC
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &a.memory, &a.time, &a.threads); err != nil {
		return a, errPHC
	}
	var err1, err2 error
	a.salt, err1 = base64.RawStdEncoding.Strict().DecodeString(parts[4])
	a.sum, err2 = base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if err1 != nil || err2 != nil || a.memory < 8 || a.memory > 256*1024 || a.time < 1 || a.time > 16 || a.threads < 1 || a.threads > 16 ||
		len(a.salt) < 8 || len(a.salt) > 64 || len(a.sum) < 16 || len(a.sum) > 64 || a.String() != phc {
		return a, errPHC
	}
	return a, nil
}
