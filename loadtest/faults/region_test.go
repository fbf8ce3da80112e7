package faults

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/starling-chat/starling/deploy/servers"
)

var (
	regionOnce sync.Once
	regionLab  *Lab
	regionErr  error
)

// ofThree gives a mesh of three cores and three hubs that all stories of regions use, one after the other.
func ofThree(t *testing.T) *Lab {
	t.Helper()
	if os.Getenv(servers.NoSkip) == "" {
		t.Skipf("SKIPPED: starts servers of its own: set %s=1", servers.NoSkip)
	}
	regionOnce.Do(func() {
		ctx, stop := context.WithTimeout(context.Background(), 5*time.Minute)
		defer stop()
		begun := time.Now()
		if lab != nil {
			regionLab, regionErr = lab.Region(ctx)
		} else {
			regionLab, regionErr = OpenRegion(ctx, os.Getenv("STARLING_BIN"), t.Logf)
		}
		t.Logf("three cores and three hubs are up after %v", time.Since(begun).Round(time.Millisecond))
	})
	if regionErr != nil {
		t.Fatal(regionErr)
	}
	regionLab.Log = t.Logf
	return regionLab
}

// day runs faults one after the other and fails on all that must not happen.
func day(t *testing.T, faults ...Fault) *Figures {
	t.Helper()
	l := ofThree(t)
	ctx, stop := context.WithTimeout(t.Context(), 4*time.Minute)
	defer stop()
	f, err := l.Day(ctx, rate/2, faults...)
	if f != nil {
		t.Logf("\n%v", f)
		if file := os.Getenv("STARLING_MESH_LOG"); file != "" {
			os.WriteFile(file, []byte(l.Mesh.LogTail(1<<20)), 0o644)
		}
	}
	if err != nil {
		t.Log("end of the mesh's log:\n" + l.Mesh.LogTail(60))
		t.Fatal(err)
	}
	if trouble := l.Mesh.Trouble(); trouble != "" {
		t.Errorf("the mesh says:\n%s", trouble)
	}
	return f
}

// Owners are killed, frozen and sent away under load: nothing is lost, doubled, out of order or run twice; who leaves makes nobody try again.
func TestCoresOfARegion(t *testing.T) {
	f := day(t, OwnerKilled(), OwnerStopped(10*time.Second), CoreLeaves())
	if p := f.Phase("core leaving"); p.Sent == 0 || len(p.Refusals) > 0 {
		t.Errorf("%d messages were sent while a core left, and refused were: %v", p.Sent, p.Refusals)
	}
}

// Hubs are killed and frozen, leaders of the log give way, two cores own the same buckets: the log is one all the time.
func TestHubsOfARegion(t *testing.T) {
	day(t, HubKilled(), HubStopped(8*time.Second), LeaderStepsDown(20), TwoOwners(1))
}
