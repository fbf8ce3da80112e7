// Package operator is what starling admin does: it finds the roles of a mesh, asks their admin pages, merges what they say, and shows it as
// tables or JSON. It opens no store and speaks no NATS; what it knows the pages told it.
package operator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/starling-chat/starling/cmd/starling/internal/admin"
	"github.com/starling-chat/starling/cmd/starling/internal/dev"
)

// Config says which mesh, and how to show it.
type Config struct {
	Data  string   // folder with mesh.json
	Pages []string // URLs of admin pages, instead of Data
	JSON  bool     // for scripts, instead of tables
	Out   io.Writer
	Err   io.Writer // remarks
}

// A Desk is an operator's view of one mesh. One goroutine uses it.
type Desk struct {
	cfg   Config
	http  *http.Client
	cores []place
	edges []place
	dead  []string // names of roles whose process is gone
	names map[string]string
}

// A place is a role with its admin page.
type place struct{ name, base string }

func (p place) String() string {
	if p.name == p.base {
		return p.base
	}
	return p.name + " at " + p.base
}

// Open finds the roles.
func Open(ctx context.Context, cfg Config) (*Desk, error) {
	d := &Desk{cfg: cfg, names: map[string]string{}, http: &http.Client{Timeout: 40 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 4, IdleConnTimeout: 5 * time.Second}}} // never by a proxy
	if len(cfg.Pages) == 0 {
		return d, d.readMesh()
	}
	for _, base := range cfg.Pages {
		p := place{name: base, base: strings.TrimSuffix(base, "/")}
		var self admin.Self
		if err := d.ask(ctx, p, "GET", "self", nil, &self); err != nil {
			d.Close()
			return nil, err
		}
		p.name = self.Name
		d.put(self.Role, p)
	}
	return d, nil
}

func (d *Desk) put(role string, p place) {
	switch role {
	case "core":
		d.cores = append(d.cores, p)
	case "edge":
		d.edges = append(d.edges, p)
	}
}

func (d *Desk) readMesh() error {
	path := filepath.Join(d.cfg.Data, "mesh.json")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no mesh runs on %s (there is no %s): start one with starling dev, name its folder with --data DIR, "+
			"or admin pages with --admin http://127.0.0.1:9090,...", d.cfg.Data, path)
	}
	if err != nil {
		return err
	}
	var rows []dev.Row
	if err := json.Unmarshal(text, &rows); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, r := range rows {
		switch {
		case r.PID == 0:
			d.dead = append(d.dead, r.Name)
		case r.Admin != "":
			d.put(r.Role, place{r.Name, "http://" + r.Admin})
		}
	}
	return nil
}

// Close lets go of connections.
func (d *Desk) Close() { d.http.CloseIdleConnections() }

// need is the places of a role, or says why there are none.
func (d *Desk) need(role string) ([]place, error) {
	list := d.cores
	if role == "edge" {
		list = d.edges
	}
	if len(list) > 0 {
		return list, nil
	}
	for _, name := range d.dead {
		if strings.HasPrefix(name, role) {
			return nil, fmt.Errorf("no %s runs: %s ended", role, strings.Join(d.dead, ", "))
		}
	}
	if len(d.cfg.Pages) > 0 {
		return nil, fmt.Errorf("none of %s is the page of a role of kind %s: add its URL to --admin", strings.Join(d.cfg.Pages, ", "), role)
	}
	return nil, fmt.Errorf("%s names no %s", filepath.Join(d.cfg.Data, "mesh.json"), role)
}
