package chaos

import (
	"fmt"
	"io"
	"time"
)

// Config of a run.
type Config struct {
	Bin     string // starling's binary
	Shape   Shape  // Stores are set by Run
	Length  time.Duration
	Every   time.Duration // a fault of a plan that is made
	Seed    uint64
	Plan    Plan // nil: Make makes one
	Clients int
	Guilds  int
	Rate    float64 // messages a second

	Real                 bool   // start Postgres, Cassandra and Redis by deploy/servers, and break them too
	Postgres, CQL, Redis string // or use these, and leave them alone

	Resumed bool   // every session has to be resumed
	Report  string // file of the HTML report; "" for none
	Log     string // file for the mesh's log; "" for none
	Command string // by which this run is repeated
	Out     io.Writer
	Status  bool // Out is a terminal: the status line is written over
}

// Check is what is wrong with a configuration before anything is started.
func (c *Config) Check() error {
	stores := c.Real || c.Postgres != "" && c.CQL != "" && c.Redis != ""
	switch {
	case c.Shape.Cores > 1 && !stores:
		return fmt.Errorf("%d cores need real stores: --real, or --postgres, --cql and --redis", c.Shape.Cores)
	case c.Clients > c.Guilds*maxGuild/memberships:
		return fmt.Errorf("%d clients need more guilds than %d: each is in %d, and no guild has more than %d", c.Clients, c.Guilds, memberships, maxGuild)
	case c.Length < 2*time.Second:
		return fmt.Errorf("%v is too short", c.Length)
	}
	return nil
}

// StoreNames are the servers that Real starts.
var StoreNames = []string{"postgres", "redis", "cassandra"}

// Broken is the shape of what the plan may break.
func (c *Config) Broken() Shape {
	s := c.Shape
	s.Stores = nil
	if c.Real {
		s.Stores = StoreNames
	}
	return s
}
