package dev

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/starling-chat/starling/cmd/starling/internal/admin"
)

// probe is for pages on this machine; it keeps no connection, since processes come and go.
var probe = &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// Ready is Node's: the process was ready once.
func (c *child) Ready() <-chan struct{} { return c.ready }

// Probes is Node's; only the name is used here, the process has a page of its own.
func (c *child) Probes() admin.Probes { return admin.Probes{Role: c.row.Role, Name: c.row.Name} }

// askReady asks a page whether its role is ready.
func askReady(ctx context.Context, page string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+page+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := probe.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: status %d", resp.StatusCode)
	}
	return nil
}
