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
	cfg    Config
	http   *http.Client
	roles  map[string][]place // by role
	silent []error            // of pages of which nobody knows whose they are
	names  map[string]string
}

// A place is a role with its admin page.
type place struct {
	name, base string
	dead       bool // its process is gone, as mesh.json has it
}

func (p place) String() string {
	if p.name == p.base {
		return p.base
	}
	return p.name + " at " + p.base
}

// Open finds the roles.
func Open(ctx context.Context, cfg Config) (*Desk, error) {
	d := &Desk{cfg: cfg, roles: map[string][]place{}, names: map[string]string{}, http: &http.Client{Timeout: 40 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 4, IdleConnTimeout: 5 * time.Second}}} // never by a proxy
	if len(cfg.Pages) == 0 {
		return d, d.readMesh()
	}
	for _, base := range cfg.Pages {
		p := place{name: base, base: strings.TrimSuffix(base, "/")}
		var self admin.Self
		err := d.askSoon(ctx, p, "GET", "self", nil, &self)
		switch {
		case errors.Is(err, errSilent):
			d.silent = append(d.silent, err)
		case err != nil:
			d.Close()
			return nil, err
		default:
			p.name = self.Name
			d.roles[self.Role] = append(d.roles[self.Role], p)
		}
	}
	if len(d.roles) == 0 {
		d.Close()
		return nil, errors.Join(d.silent...)
	}
	return d, nil
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
		if r.Admin != "" {
			d.roles[r.Role] = append(d.roles[r.Role], place{name: r.Name, base: "http://" + r.Admin, dead: r.PID == 0})
		}
	}
	return nil
}

// Close lets go of connections.
func (d *Desk) Close() { d.http.CloseIdleConnections() }

// all is the places of a role, those included that are dead, or says why there are none.
func (d *Desk) all(role string) ([]place, error) {
	if list := d.roles[role]; len(list) > 0 {
		return list, nil
	}
	if len(d.cfg.Pages) > 0 {
		return nil, errors.Join(append(d.silent,
			fmt.Errorf("none of %s is the page of a role of kind %s: add its URL to --admin", strings.Join(d.cfg.Pages, ", "), role))...)
	}
	return nil, fmt.Errorf("%s names no %s", filepath.Join(d.cfg.Data, "mesh.json"), role)
}

// need is the places of a role that should answer, or says why there are none.
func (d *Desk) need(role string) (live []place, err error) {
	list, err := d.all(role)
	if err != nil {
		return nil, err
	}
	var dead []string
	for _, p := range list {
		if p.dead {
			dead = append(dead, p.name)
		} else {
			live = append(live, p)
		}
	}
	if len(live) == 0 {
		return nil, fmt.Errorf("no %s runs: %s ended", role, strings.Join(dead, ", "))
	}
	return live, nil
}

// named is the place of one role by its name.
func (d *Desk) named(role, name string) (place, error) {
	list, err := d.need(role)
	if err != nil {
		return place{}, err
	}
	var names []string
	for _, p := range list {
		if p.name == name {
			return p, nil
		}
		names = append(names, p.name)
	}
	return place{}, fmt.Errorf("there is no %s %q: there are %s", role, name, strings.Join(names, ", "))
}
