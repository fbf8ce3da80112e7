package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/core/storetest"
	"github.com/starling-chat/starling/deploy/servers"
	"github.com/starling-chat/starling/proto"
	"github.com/starling-chat/starling/relay/relaytest"
)

// logs counts lines by what they begin with.
type logs struct {
	mu    sync.Mutex
	lines []string
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(b))
	return len(b), nil
}

func (l *logs) count(what string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if strings.Contains(line, what) {
			n++
		}
	}
	return n
}

// Edges refresh 400 users all the time, and calls are limited, while Redis is killed, comes back empty, freezes and wakes up. Nobody waits
// for a dead Redis, one line says that it is away, and what the edges refresh is there again without more than that.
func TestAwayAndBack(t *testing.T) {
	server := servers.Start(t, "redis")
	said := &logs{}
	s, err := Open(t.Context(), server.Address, slog.New(slog.NewTextHandler(said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var calls, mistakes atomic.Int64
	var users []proto.ID
	for edge := range 4 {
		var reports []core.PresenceReport
		for i := range 100 {
			user := proto.ID(edge*1000 + i + 1)
			users = append(users, user)
			reports = append(reports, core.PresenceReport{Presence: core.Presence{User: user, Status: "online"}, Refresh: true})
		}
		wg.Go(func() {
			for ctx.Err() == nil {
				s.Presences().Report(ctx, fmt.Sprint("e", edge), reports, time.Now()) // errors are the story
				v, err := s.Limiter().Take(ctx, fmt.Sprint("edge/", edge), core.Limit{Burst: 100, Per: time.Second})
				if err != nil && ctx.Err() == nil || v.Remaining < 0 {
					mistakes.Add(1)
				}
				calls.Add(1)
			}
		})
	}
	online := func(what string) {
		t.Helper()
		relaytest.Until(t, what, func() bool {
			all, err := s.Presences().Presences(t.Context(), users)
			return err == nil && len(all) == len(users)
		})
	}
	away := func(what string) {
		t.Helper()
		relaytest.Until(t, what, func() bool {
			_, err := s.Presences().Presences(t.Context(), users[:1])
			return errors.Is(err, ErrAway)
		})
		begun, from := time.Now(), calls.Load()
		relaytest.Until(t, what+": calls go on", func() bool { return calls.Load() > from+1000 })
		if took := time.Since(begun); took > 30*time.Second { // a thousand that each wait for a time-out would take four edges longer
			t.Errorf("%s: 1000 calls took %v", what, took)
		}
		if _, err := s.Registry().Registration(t.Context(), "x"); !errors.Is(err, ErrAway) {
			t.Errorf("%s: registry: %v", what, err)
		}
		if _, err := s.Cache().Cached(t.Context(), "x", "y"); !errors.Is(err, ErrAway) {
			t.Errorf("%s: cache: %v", what, err)
		}
	}
	online("all are online")
	kill := func(sig syscall.Signal) {
		t.Helper()
		if err := syscall.Kill(server.PID(t), sig); err != nil {
			t.Fatal(err)
		}
	}
	kill(syscall.SIGKILL)
	away("killed")
	server.Start(t)
	online("all are online again")
	kill(syscall.SIGSTOP)
	away("frozen")
	kill(syscall.SIGCONT)
	online("and again")
	stop()
	wg.Wait()
	if n := mistakes.Load(); n > 0 {
		t.Errorf("%d requests that nobody limited", n)
	}
	if n, m := said.count("does not answer"), said.count("answers again"); n < 2 || n > 12 || m < n-1 {
		t.Errorf("said %d times that it is away, %d times that it is back", n, m)
	}
}

// Open does not wait for a server that is not there, and finds it when it comes.
func TestOpenBeforeTheServer(t *testing.T) {
	server := servers.Start(t, "redis")
	server.Stop(t)
	s, err := Open(t.Context(), server.Address, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Presences().Presences(t.Context(), []proto.ID{1}); !errors.Is(err, ErrAway) {
		t.Errorf("got %v, want ErrAway", err)
	}
	server.Start(t)
	relaytest.Until(t, "it is found", func() bool {
		_, err := s.Presences().Presences(t.Context(), []proto.ID{1})
		return err == nil
	})
}

// A report whose answer was lost is told as a change when it is repeated: nobody was told of it.
func TestLostAnswerIsToldLater(t *testing.T) {
	s := open(t, servers.Address(t, "redis"))
	alice, bob := proto.ID(time.Now().UnixNano()), proto.ID(time.Now().UnixNano()+1)
	reports := []core.PresenceReport{{Presence: core.Presence{User: alice, Status: "online"}}, {Presence: core.Presence{User: bob}, Gone: true}}
	if _, err := s.Presences().Report(t.Context(), "e1", reports, time.Now()); err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Presences().Report(gone, "e1", reports, time.Now()); err == nil {
		t.Fatal("no error from a call that was given up")
	}
	changes, err := s.Presences().Report(t.Context(), "e1", reports, time.Now())
	if err != nil || len(changes) != 2 || changes[0].After.Status != "online" || changes[0].Before.Status != "" ||
		changes[1].After.Status != "" || changes[1].Before.Status != "online" {
		t.Errorf("got %+v, %v", changes, err)
	}
	if changes, err = s.Presences().Report(t.Context(), "e1", reports, time.Now()); err != nil || len(changes) != 0 {
		t.Errorf("told again: %+v, %v", changes, err)
	}
}

// What operators read in Redis is what others see, and it ends by itself.
func TestSummary(t *testing.T) {
	s := open(t, servers.Address(t, "redis"))
	user, now := proto.ID(time.Now().UnixNano()), time.Now()
	for _, step := range []struct {
		edge   string
		status proto.Status
	}{{"e1", "idle"}, {"e2", "invisible"}, {"e2", "online"}, {"e1", "dnd"}, {"e1", "invisible"}, {"e2", ""}, {"e1", "online"}, {"e1", ""}} {
		r := core.PresenceReport{Presence: core.Presence{User: user, Status: step.status, LastActive: now}, Gone: step.status == ""}
		if _, err := s.Presences().Report(t.Context(), step.edge, []core.PresenceReport{r}, now); err != nil {
			t.Fatal(err)
		}
		all, err := s.Presences().Presences(t.Context(), []proto.ID{user})
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{}
		if len(all) > 0 {
			want = map[string]string{"status": string(all[0].Status), "last_active": fmt.Sprint(all[0].LastActive.UnixMilli())}
		}
		key := fmt.Sprintf("presence:{%d}", user)
		if got := s.client.HGetAll(t.Context(), key).Val(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s is %s: got %v, want %v", step.edge, step.status, got, want)
		}
		if ttl := s.client.PTTL(t.Context(), key).Val(); len(want) > 0 && (ttl <= 0 || ttl > core.PresenceTTL) {
			t.Errorf("it ends in %v", ttl)
		}
		now = now.Add(time.Second)
	}
}

// The same suites on a cluster, which refuses commands over several slots.
func TestCluster(t *testing.T) {
	port, err := net.Listen("tcp", "127.0.0.1:0") // of the cluster's bus, which would else be 10000 above the other
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("REDIS_ARGS", fmt.Sprint("--cluster-enabled yes --cluster-port ", port.Addr().(*net.TCPAddr).Port))
	port.Close()
	server := servers.Start(t, "redis")
	o, err := goredis.ParseURL(server.Address)
	if err != nil {
		t.Fatal(err)
	}
	node := goredis.NewClient(o)
	defer node.Close()
	if err := node.ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	relaytest.Until(t, "the cluster is formed", func() bool {
		return strings.Contains(node.ClusterInfo(t.Context()).Val(), "cluster_state:ok")
	})
	var cores [2]*Store
	for i := range cores {
		s, err := Open(t.Context(), server.Address+"?read_timeout=10s&addr="+o.Addr, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		cores[i] = s
	}
	if _, cluster := cores[0].client.(*goredis.ClusterClient); !cluster {
		t.Fatalf("got a client %T", cores[0].client)
	}
	storetest.Presences(t, cores[0].Presences(), cores[1].Presences())
	storetest.Registry(t, cores[0].Registry(), cores[1].Registry())
	storetest.Limiter(t, cores[0].Limiter(), cores[1].Limiter())
	storetest.Cache(t, cores[0].Cache(), cores[1].Cache())
}
