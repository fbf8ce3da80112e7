package dev

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/starling-chat/starling/core/cql"
)

// Config of a mesh on one machine.
type Config struct {
	Edges, Leaves int
	Hubs          int // 0 = 1; three or five keep the log together
	Cores         int // 0 = 1; several share what each bucket's owner is, and the stores: in processes of their own only real ones

	HTTP, TLS, Admin string // of the first edge; the next ones follow on consecutive ports; TLS may be "" for none
	PublicURL        string // what clients are told; "" = each edge's own address
	LeafVia          string // first of the addresses at which leaves look for hubs, leaf by leaf, each hub in turn: what is between them; "" = nothing
	VIP              string // where a forwarder to live edges listens; "" = none

	Data         string        // folder of everything kept
	Postgres     string        // URL; "" = SQLite
	Redis        string        // URL; "" = in process
	CQL          cql.Config    // without Hosts: Pebble
	CQLHosts     string        // the same as a flag of a role process
	Processes    bool          // each role in a process of its own
	Restart      bool          // start a role anew when its process ended
	RestartPause time.Duration // before that; 0 = 100 ms
	RateLimits   bool
	DrainWindow  time.Duration // over which an edge sends its clients away
	PresenceTTL  time.Duration // of users of an edge that is gone
	LogLevel     slog.Level

	Executable string    // of role processes; this very binary
	Hasher     []string  // server.Config's, of a core in this process
	Out        io.Writer // what people read first
	Log        io.Writer // logs and progress
}

const (
	region     = "local"
	accessLife = 24 * time.Hour // of people's tokens: nobody wants to refresh them by hand
)

func (c *Config) path(name ...string) string {
	return filepath.Join(append([]string{c.Data}, name...)...)
}

// hubDir is where a hub keeps its log. One that stands alone and one of several have nothing in common.
func (c *Config) hubDir(name string) string {
	if c.Hubs <= 1 {
		return c.path("hub")
	}
	return c.path(name)
}

// checkHubs refuses a folder whose log is kept by another number of hubs: the mesh would begin a new log and lose what its stores had not
// taken from the old one.
func (c *Config) checkHubs() error {
	other, want := c.path("hub"), "1"
	if c.Hubs <= 1 {
		other, want = c.path("hub-1"), "3"
	}
	if _, err := os.Stat(other); err == nil {
		return fmt.Errorf("hubs: %s holds a log kept by %s: use --hubs %s or another folder", c.Data, plural(want), want)
	}
	return nil
}

func plural(hubs string) string {
	if hubs == "1" {
		return "one hub"
	}
	return "several hubs"
}
