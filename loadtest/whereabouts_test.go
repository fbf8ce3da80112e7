package loadtest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/starling-chat/starling/loadtest/mesh"
	"github.com/starling-chat/starling/proto"
)

// A lookout knows the edges of a mesh of processes by their admin pages, as an operator would.
type lookout struct {
	t *testing.T
	m *mesh.Mesh
	h *http.Client
}

func newLookout(t *testing.T, m *mesh.Mesh) *lookout {
	o := &lookout{t: t, m: m, h: &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}}
	t.Cleanup(o.h.CloseIdleConnections)
	return o
}

func (o *lookout) edges() (list []mesh.Role) {
	o.t.Helper()
	for _, r := range take[[]mesh.Role](o.t)(o.m.Roles()) {
		if r.Role == "edge" {
			list = append(list, r)
		}
	}
	return list
}

// at names the edge that has a connected session of a user, but none of those that do not count; the zero Role if there is none.
func (o *lookout) at(ctx context.Context, user proto.ID, not ...mesh.Role) mesh.Role {
next:
	for _, r := range o.edges() {
		for _, n := range not {
			if n.PID == r.PID {
				continue next
			}
		}
		if r.PID > 0 && o.has(ctx, r, user) {
			return r
		}
	}
	return mesh.Role{}
}

func (o *lookout) has(ctx context.Context, r mesh.Role, user proto.ID) bool {
	req, err := http.NewRequestWithContext(ctx, "GET", fmt.Sprintf("http://%s/admin/v1/sessions?user=%s", r.Admin, user), nil)
	must(o.t, err)
	resp, err := o.h.Do(req)
	if err != nil {
		return false // it is dead, or was killed just now
	}
	defer resp.Body.Close()
	var page struct {
		Sessions []struct{ Connected bool }
	}
	if json.NewDecoder(resp.Body).Decode(&page) != nil {
		return false
	}
	for _, s := range page.Sessions {
		if s.Connected {
			return true
		}
	}
	return false
}

// find waits until a session of a user is at an edge.
func (o *lookout) find(user proto.ID, not ...mesh.Role) mesh.Role {
	o.t.Helper()
	ctx := within(o.t, patience)
	for {
		if r := o.at(ctx, user, not...); r.PID > 0 {
			return r
		}
		if ctx.Err() != nil {
			o.t.Fatalf("no edge has a session of user %s", user)
		}
		await(ctx, 5*time.Millisecond)
	}
}

func (o *lookout) signal(r mesh.Role, sig syscall.Signal) {
	o.t.Helper()
	if err := syscall.Kill(r.PID, sig); err != nil {
		o.t.Fatalf("%s: %v", r.Name, err)
	}
}

// figure adds up the lines of a role's metrics that begin with a name, labels included.
func (o *lookout) figure(r mesh.Role, name string) (sum float64) {
	o.t.Helper()
	resp, err := o.h.Get("http://" + r.Admin + "/metrics")
	must(o.t, err)
	defer resp.Body.Close()
	for s := bufio.NewScanner(resp.Body); s.Scan(); {
		if line := s.Text(); strings.HasPrefix(line, name) {
			v, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
			must(o.t, err)
			sum += v
		}
	}
	return sum
}
