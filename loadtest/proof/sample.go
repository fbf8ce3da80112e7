package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// A sample is what the cores have done so far, by their metrics, and what they and the hub have used.
type sample struct {
	groups, grouped float64
	cores           []cpu
	hub             cpu
}

func (b *bench) sample(ctx context.Context) (s sample, err error) {
	for _, core := range b.cores {
		values, err := metrics(ctx, core.Admin)
		if err != nil {
			return s, err
		}
		s.groups += values["starling_bucket_group_commands_count"]
		s.grouped += values["starling_bucket_group_commands_sum"]
	}
	if s.hub, err = usedCPU(b.hub.PID); err != nil {
		return s, err
	}
	for _, core := range b.cores {
		used, err := usedCPU(core.PID)
		if err != nil {
			return s, err
		}
		s.cores = append(s.cores, used)
	}
	return s, nil
}

// metrics reads those of an admin page that have no labels.
func metrics(ctx context.Context, admin string) (map[string]float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("metrics of %s: %s", admin, resp.Status)
	}
	values := map[string]float64{}
	for lines := bufio.NewScanner(resp.Body); ; {
		if !lines.Scan() {
			return values, lines.Err()
		}
		if name, value, ok := strings.Cut(lines.Text(), " "); ok && !strings.HasPrefix(name, "#") {
			if v, err := strconv.ParseFloat(value, 64); err == nil {
				values[name] = v
			}
		}
	}
}
