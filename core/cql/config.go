package cql

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/gocql/gocql"
)

// connectLimit bounds the opening of one connection.
const connectLimit = 3 * time.Second

// A Config names a cluster and says how to treat it. The zero value of every field but Hosts has a default.
type Config struct {
	Hosts              []string // host or host:port of a few nodes; the others are found. One port for all
	Keyspace           string   // default starling
	Replication        int      // copies in each datacenter, when the keyspace is made; default 3
	Consistency        string   // of reads and writes; default LOCAL_QUORUM
	DataCenter         string   // whose nodes are asked first; empty = any
	Username, Password string
	TLS                *tls.Config // nil = plain text

	Timeout   time.Duration // most that one request may take, whatever the caller's context says; default 5 s
	Speculate time.Duration // after this long a read is sent to a second node, too; default 20 ms, negative = never
	Patience  time.Duration // Open goes on without the cluster after this long; until it is there, every call fails with ErrAway. 0 = never
	Log       *slog.Logger
}

func (c *Config) setDefaults() {
	or := func(s *string, value string) {
		if *s == "" {
			*s = value
		}
	}
	or(&c.Keyspace, "starling")
	or(&c.Consistency, "LOCAL_QUORUM")
	if c.Replication == 0 {
		c.Replication = 3
	}
	if c.Timeout == 0 {
		c.Timeout = 5 * time.Second
	}
	if c.Speculate == 0 {
		c.Speculate = 20 * time.Millisecond
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
}

// check reports all mistakes at once, each naming its field.
func (c Config) check() error {
	var wrong []error
	if len(c.Hosts) == 0 {
		wrong = append(wrong, errors.New("Hosts: none"))
	}
	if _, err := c.port(); err != nil {
		wrong = append(wrong, fmt.Errorf("Hosts: %w", err))
	}
	if !keyspaceName.MatchString(c.Keyspace) {
		wrong = append(wrong, fmt.Errorf("Keyspace: %q: want small letters, digits and underscores", c.Keyspace))
	}
	if c.Replication < 1 {
		wrong = append(wrong, fmt.Errorf("Replication: %d", c.Replication))
	}
	if _, err := gocql.ParseConsistencyWrapper(c.Consistency); err != nil {
		wrong = append(wrong, fmt.Errorf("Consistency: %w", err))
	}
	if c.Timeout < 0 {
		wrong = append(wrong, fmt.Errorf("Timeout: %v", c.Timeout))
	}
	if c.Patience < 0 {
		wrong = append(wrong, fmt.Errorf("Patience: %v", c.Patience))
	}
	return errors.Join(wrong...)
}

// port is the one that all nodes listen on; nodes that are found later have no port of their own.
func (c Config) port() (int, error) {
	port := 0
	for _, h := range c.Hosts {
		_, p, err := net.SplitHostPort(h)
		if err != nil {
			p = "9042" // a host alone
		}
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("%q: %w", h, err)
		}
		if port != 0 && port != int(n) {
			return 0, fmt.Errorf("%q: all nodes have to listen on the same port", h)
		}
		port = int(n)
	}
	return port, nil
}

// cluster is the driver's configuration, a new one for each session: the driver does not let policies be shared.
func (c Config) cluster(keyspace string) *gocql.ClusterConfig {
	d := gocql.NewCluster(c.Hosts...)
	d.Port, _ = c.port()
	d.Keyspace = keyspace
	d.Consistency = gocql.ParseConsistency(c.Consistency)
	d.Timeout, d.ReadTimeout, d.WriteTimeout = c.Timeout, c.Timeout, c.Timeout
	d.ConnectTimeout = min(c.Timeout, connectLimit)
	d.MetadataSchemaRequestTimeout = c.Timeout
	d.ReconnectInterval = time.Second
	// One try, then the interval: with the driver's three a frozen node that wakes up is found again some ten seconds later.
	d.ReconnectionPolicy = &gocql.ConstantReconnectionPolicy{MaxRetries: 1, Interval: 100 * time.Millisecond}
	d.RetryPolicy = retries{&gocql.SimpleRetryPolicy{NumRetries: 2}}
	d.DefaultIdempotence = true
	var order gocql.HostSelectionPolicy = gocql.RoundRobinHostPolicy()
	if c.DataCenter != "" {
		order = gocql.DCAwareRoundRobinPolicy(c.DataCenter)
	}
	d.PoolConfig.HostSelectionPolicy = gocql.TokenAwareHostPolicy(order, gocql.ShuffleReplicas())
	if c.Username != "" {
		d.Authenticator = gocql.PasswordAuthenticator{Username: c.Username, Password: c.Password}
	}
	if c.TLS != nil {
		d.SslOpts = &gocql.SslOptions{Config: c.TLS.Clone(), EnableHostVerification: !c.TLS.InsecureSkipVerify}
	}
	d.Logger = driverLog{c.Log}
	return d
}

// retries are on other nodes; all that we send is idempotent. What was too much for one node is too much for all.
type retries struct{ *gocql.SimpleRetryPolicy }

func (r retries) GetRetryType(err error) gocql.RetryType {
	if overwhelmed(err) {
		return gocql.Rethrow
	}
	return r.SimpleRetryPolicy.GetRetryType(err)
}

// A driverLog takes what the driver tells of lost and found nodes; what matters to an operator the watchdog says.
type driverLog struct{ log *slog.Logger }

func (l driverLog) Print(v ...any)   { l.log.Debug("cql driver", "said", fmt.Sprint(v...)) }
func (l driverLog) Println(v ...any) { l.log.Debug("cql driver", "said", fmt.Sprint(v...)) }
func (l driverLog) Printf(format string, v ...any) {
	l.log.Debug("cql driver", "said", fmt.Sprintf(format, v...))
}
