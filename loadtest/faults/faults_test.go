package faults

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/starling-chat/starling/deploy/servers"
	"github.com/starling-chat/starling/loadtest/mesh"
)

var (
	lab     *Lab
	labErr  error
	labOnce sync.Once
)

func TestMain(m *testing.M) {
	code := m.Run()
	for _, l := range []*Lab{regionLab, lab} {
		if l == nil {
			continue
		}
		if err := l.Close(); err != nil {
			fmt.Println(err)
			code = max(code, 1)
		}
	}
	mesh.Clean()
	os.Exit(code)
}

// shared gives the lab that all stories of this package use, one after the other.
func shared(t *testing.T) *Lab {
	t.Helper()
	if os.Getenv(servers.NoSkip) == "" {
		t.Skipf("SKIPPED: starts servers of its own: set %s=1", servers.NoSkip)
	}
	labOnce.Do(func() {
		ctx, stop := context.WithTimeout(context.Background(), 5*time.Minute)
		defer stop()
		begun := time.Now()
		lab, labErr = Open(ctx, os.Getenv("STARLING_BIN"), t.Logf)
		t.Logf("lab is up after %v", time.Since(begun).Round(time.Millisecond))
	})
	if labErr != nil {
		t.Fatal(labErr)
	}
	lab.Log = t.Logf
	return lab
}

// tells runs a story and fails on all that must not happen.
func tells(t *testing.T, story func(context.Context, *Lab) (*Figures, error)) *Figures {
	t.Helper()
	l := shared(t)
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	defer stop()
	f, err := story(ctx, l)
	if f != nil {
		t.Logf("\n%v", f)
		if file := os.Getenv("STARLING_MESH_LOG"); file != "" {
			os.WriteFile(file, []byte(l.Mesh.LogTail(1<<20)), 0o644)
		}
	}
	if err != nil {
		t.Log("end of the mesh's log:\n" + l.Mesh.LogTail(40))
		t.Fatal(err)
	}
	if trouble := l.Mesh.Trouble(); trouble != "" {
		t.Errorf("the mesh says:\n%s", trouble)
	}
	return f
}

// refusesNobody wants every send answered at its first try.
func refusesNobody(t *testing.T, f *Figures) {
	t.Helper()
	for _, p := range f.Phases {
		if len(p.Refusals) > 0 {
			t.Errorf("%s: sends were refused: %v", p.Name, p.Refusals)
		}
	}
}

const rate = 200

func TestCassandraStopped(t *testing.T) {
	tells(t, func(ctx context.Context, l *Lab) (*Figures, error) {
		return l.CassandraStopped(ctx, rate, 30*time.Second)
	})
}

func TestCoreKilledWithoutCassandra(t *testing.T) {
	tells(t, func(ctx context.Context, l *Lab) (*Figures, error) {
		return l.CoreKilledWithoutCassandra(ctx, rate, 15*time.Second)
	})
}

func TestRedisKilled(t *testing.T) {
	f := tells(t, func(ctx context.Context, l *Lab) (*Figures, error) { return l.RedisKilled(ctx, rate, 4*time.Second) })
	refusesNobody(t, f)
}

func TestPostgresKilled(t *testing.T) {
	f := tells(t, func(ctx context.Context, l *Lab) (*Figures, error) { return l.PostgresKilled(ctx, rate) })
	refusesNobody(t, f)
}

func TestPostgresStopped(t *testing.T) {
	f := tells(t, func(ctx context.Context, l *Lab) (*Figures, error) {
		return l.PostgresStopped(ctx, rate, 6*time.Second)
	})
	refusesNobody(t, f)
}

func TestEverythingKilled(t *testing.T) {
	tells(t, func(ctx context.Context, l *Lab) (*Figures, error) { return l.EverythingKilled(ctx, rate/4) })
}
