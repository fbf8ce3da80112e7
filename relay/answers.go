package relay

import (
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
)

// answers takes in answers of several messages. One subscription, which stands for as long as the connection, serves all questions: one of
// each question's own would be told, and taken back, to every hub there is.
type answers struct {
	mu     sync.Mutex
	prefix string // "" until there is a subscription
	asked  uint64
	open   map[string]chan *nats.Msg
}

// expect makes an inbox for up to room messages. What comes beyond that, or after done, is dropped.
func (a *answers) expect(w Wire, room int) (inbox string, in <-chan *nats.Msg, done func(), err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.prefix == "" {
		prefix := w.NewRespInbox() + "."
		if _, err := w.Subscribe(prefix+"*", a.take); err != nil {
			return "", nil, nil, err
		}
		a.prefix, a.open = prefix, map[string]chan *nats.Msg{}
	}
	a.asked++
	token, messages := strconv.FormatUint(a.asked, 36), make(chan *nats.Msg, room)
	a.open[token] = messages
	return a.prefix + token, messages, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.open, token)
	}, nil
}

// take hands a message to who waits for it.
func (a *answers) take(m *nats.Msg) {
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case a.open[strings.TrimPrefix(m.Subject, a.prefix)] <- m:
	default: // nobody waits, or for less: who counts sees the hole
	}
}
