package faults

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/starling-chat/starling/loadtest/check"
	"github.com/starling-chat/starling/loadtest/mesh"
	"github.com/starling-chat/starling/proto"
)

// lookLimit bounds one look at an admin page; a frozen process answers none.
const lookLimit = 2 * time.Second

// page reads one of a role's pages.
func page(ctx context.Context, r mesh.Role, method, path string, in ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+r.Admin+path, strings.NewReader(strings.Join(in, "")))
	if err != nil {
		return nil, err
	}
	req.Close = true
	req.Header.Set("X-Starling-Admin", "1")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s: %.200s", r.Name, path, resp.Status, body)
	}
	return body, err
}

// date is what a role takes for the time.
func date(ctx context.Context, r mesh.Role) (time.Time, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.Admin+"/readyz", nil)
	if err != nil {
		return time.Time{}, err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return time.Time{}, err
	}
	resp.Body.Close()
	return http.ParseTime(resp.Header.Get("Date"))
}

// metric is the sum of a metric of a role over all its labels that hold some text.
func (l *Lab) metric(ctx context.Context, name, metric, label string) (sum float64, err error) {
	r, err := l.Mesh.Role(name)
	if err != nil {
		return 0, err
	}
	body, err := page(ctx, r, "GET", "/metrics")
	if err != nil {
		return 0, err
	}
	for lines := bufio.NewScanner(strings.NewReader(string(body))); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), " ")
		if n, _, _ := strings.Cut(key, "{"); n != metric || !strings.Contains(key, label) {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, err
		}
		sum += v
	}
	return sum, nil
}

// running lists the processes of a role that run.
func (l *Lab) running(role string) ([]mesh.Role, error) {
	all, err := l.Mesh.Roles()
	if err != nil {
		return nil, err
	}
	var some []mesh.Role
	for _, r := range all {
		if r.Role == role && r.PID > 0 {
			some = append(some, r)
		}
	}
	return some, nil
}

// owners tells which core has which bucket.
func (l *Lab) owners(ctx context.Context) (map[int]string, error) {
	cores, err := l.running("core")
	if err != nil {
		return nil, err
	}
	of := map[int]string{}
	for _, c := range cores {
		body, err := page(ctx, c, "GET", "/admin/v1/buckets?all=true")
		if err != nil {
			return nil, err
		}
		var a struct {
			Buckets []struct {
				Bucket int `json:"bucket"`
			} `json:"buckets"`
		}
		if err := json.Unmarshal(body, &a); err != nil {
			return nil, fmt.Errorf("%s: buckets: %w", c.Name, err)
		}
		for _, b := range a.Buckets {
			of[b.Bucket] = c.Name
		}
	}
	return of, nil
}

// busiest is the core that owns most of what the load is in, and which buckets these are.
func (l *Lab) busiest(ctx context.Context, run *check.Run) (core string, buckets []int, err error) {
	of, err := l.owners(ctx)
	if err != nil {
		return "", nil, err
	}
	has := map[string][]int{}
	for _, g := range run.Guilds() {
		b := g.Bucket()
		has[of[b]] = append(has[of[b]], b)
	}
	for name, b := range has {
		if name != "" && (len(b) > len(buckets) || len(b) == len(buckets) && name < core) {
			core, buckets = name, b
		}
	}
	if core == "" {
		return "", nil, errors.New("nobody owns what the load is in")
	}
	return core, buckets, nil
}

// until asks again and again until an answer is yes.
func until(ctx context.Context, limit time.Duration, what string, ok func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for begun := time.Now(); ; {
		yes, err := ok(ctx)
		if yes && err == nil {
			return nil
		}
		if wait(ctx, 50*time.Millisecond) != nil {
			return fmt.Errorf("%s: not within %v: %w", what, time.Since(begun).Round(time.Second), errors.Join(err, ctx.Err()))
		}
	}
}

// whole waits until every process of the mesh runs and is ready, and the cores share the buckets.
func (l *Lab) whole(ctx context.Context) error {
	err := until(ctx, shareLimit, "all roles ready", func(ctx context.Context) (bool, error) {
		all, err := l.Mesh.Roles()
		for _, r := range all {
			if r.PID <= 0 {
				return false, fmt.Errorf("%s is gone", r.Name)
			}
			if _, err := page(ctx, r, "GET", "/readyz"); err != nil {
				return false, err
			}
		}
		return err == nil, err
	})
	if err != nil {
		return err
	}
	return l.shared(ctx)
}

// shared waits until each core has its share of the buckets.
func (l *Lab) shared(ctx context.Context) error {
	return until(ctx, shareLimit, "buckets shared", func(ctx context.Context) (bool, error) {
		cores, err := l.running("core")
		if err != nil {
			return false, err
		}
		sum := 0.0
		for _, c := range cores {
			n, err := l.metric(ctx, c.Name, "starling_ownership_buckets", "")
			if err != nil || n < proto.Buckets/float64(len(cores))*3/4 {
				return false, errors.Join(err, fmt.Errorf("%s has %.0f", c.Name, n))
			}
			sum += n
		}
		if sum != proto.Buckets {
			return false, fmt.Errorf("%.0f are owned", sum)
		}
		return true, nil
	})
}
