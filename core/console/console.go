// Package console is what operators see of a core and may do there: pages of JSON over accounts, guilds and buckets, and revocation of
// tokens. It is not the API: it knows no caller and no rights, and who serves it has to see to it that only operators reach it
// (cmd/starling/internal/admin). No page holds the hash of a password or token.
package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/bucket"
	"github.com/starling-chat/starling/core/ownership"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/proto/pb"
)

// Prefix of all pages.
const Prefix = "/admin/v1/"

const (
	readTimeout   = 20 * time.Second // a search by name may pass over all rows
	revokeTimeout = 30 * time.Second
	defaultLimit  = 100
	maxLimit      = 1000
	maxBody       = 4 << 10
)

// Config is what a console looks at. All must be set.
type Config struct {
	Directory core.Directory
	Owner     interface {
		Name() string
		Infos(context.Context) ([]bucket.Info, error)
		Sum() bucket.Sum
	}
	Claims interface {
		Status() ownership.Status
		Place(bucket int) ownership.Place
		Move(ctx context.Context, bucket int, to string) error
		Free(ctx context.Context, bucket int) error
		Drain() error
		Stay() error
	}
	Hub      func() string // to which the core is connected; "" = to none
	Since    time.Time     // the core was started
	Commands interface {
		Do(ctx context.Context, cmd *pb.Command) (*pb.Result, error)
	}
	// Forget is told of whom the API must not remember tokens any more: a bot, or logins of a person.
	Forget func(bot proto.ID, logins ...proto.ID)
}

// A Console answers pages. Any goroutine may call it.
type Console struct {
	cfg Config
	mux *http.ServeMux
}

// New makes a console.
func New(cfg Config) *Console {
	c := &Console{cfg: cfg, mux: http.NewServeMux()}
	c.mux.Handle("GET "+Prefix+"users", page(c.users))
	c.mux.Handle("GET "+Prefix+"users/{user}", page(c.user))
	c.mux.Handle("GET "+Prefix+"names", page(c.names))
	c.mux.Handle("GET "+Prefix+"guilds", page(c.guilds))
	c.mux.Handle("GET "+Prefix+"guilds/{guild}", page(c.guild))
	c.mux.Handle("GET "+Prefix+"core", page(c.core))
	c.mux.Handle("POST "+Prefix+"drain", page(c.drain))
	c.mux.Handle("GET "+Prefix+"buckets", page(c.buckets))
	c.mux.Handle("GET "+Prefix+"buckets/{bucket}", page(c.place))
	c.mux.Handle("POST "+Prefix+"buckets/{bucket}/move", page(c.move))
	c.mux.Handle("POST "+Prefix+"tokens/revoke", page(c.revoke))
	return c
}

// ServeHTTP answers one page.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.mux.ServeHTTP(w, r) }

// A page gives what is written as JSON.
type page func(ctx context.Context, r *http.Request) (any, error)

// A mistake is an error that the operator can mend.
type mistake struct {
	status int
	text   string
}

func (m *mistake) Error() string { return m.text }

func wrong(format string, args ...any) error {
	return &mistake{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

func absent(format string, args ...any) error {
	return &mistake{http.StatusNotFound, fmt.Sprintf(format, args...)}
}

// Failure is the JSON of an answer from 400 up.
type Failure struct {
	Error string `json:"error"`
}

func (p page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	limit := readTimeout
	if r.Method == http.MethodPost {
		limit = revokeTimeout
	}
	ctx, cancel := context.WithTimeout(r.Context(), limit)
	defer cancel()
	status := http.StatusOK
	v, err := p(ctx, r)
	if err != nil {
		status = http.StatusServiceUnavailable
		var m *mistake
		if errors.As(err, &m) {
			status = m.status
		}
		v = Failure{err.Error()}
	}
	text, err := json.Marshal(v)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"error":"the answer has no JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(text, '\n')) // who went away needs no answer
}

// paging reads limit and after.
func paging(r *http.Request) (limit int, after proto.ID, err error) {
	limit = defaultLimit
	if s := r.FormValue("limit"); s != "" {
		if limit, err = strconv.Atoi(s); err != nil || limit < 1 || limit > maxLimit {
			return 0, 0, wrong("limit: %.40q: want 1 to %d", s, maxLimit)
		}
	}
	if s := r.FormValue("after"); s != "" {
		if after, err = proto.ParseID(s); err != nil {
			return 0, 0, wrong("after: %v", err)
		}
	}
	return limit, after, nil
}

// name reads the beginning of a name.
func name(r *http.Request) (string, error) {
	s := r.FormValue("name")
	if len(s) > 400 {
		return "", wrong("name: longer than any")
	}
	return s, nil
}
