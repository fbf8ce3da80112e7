package main

import (
	"net/url"
	"strings"

	"github.com/starling-chat/starling/cmd/starling/internal/config"
	"github.com/starling-chat/starling/core/cql"
	"github.com/starling-chat/starling/core/redis"
)

// Keys of the servers that a core keeps things on.
var (
	keyPostgres = config.Key{Name: "postgres", Default: "", Kind: "URL",
		Usage: "postgres://user@host:port/name of the directory, password in a passfile=; empty for SQLite"}
	keyCQL = config.Key{Name: "cql", Default: "", Kind: "HOSTS",
		Usage: "host:port,... of ScyllaDB or Cassandra for the history, /KEYSPACE after them for another than starling; empty for Pebble"}
	keyRedis = config.Key{Name: "redis", Default: "", Kind: "URL",
		Usage: "redis://host:port/db of presence, limits and caches, password in a passfile=, addr= for more nodes of a cluster; empty for none"}
)

// keyPresenceTTL is one of cores and edges: both have to be told the same.
var keyPresenceTTL = config.Key{Name: "presence-ttl", Default: "1m", Kind: "DURATION",
	Usage: "how long users of an edge that is gone still look online; the same for cores and edges"}

// postgres checks the key of that name. Parameters are left to the driver.
func postgres(v *config.Values) string {
	text := v.String(keyPostgres.Name)
	if text == "" {
		return ""
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Host == "":
		v.Wrong(keyPostgres.Name, "want postgres://user@host:port/name") // without the value: it may hold a password
	case hasPassword(u):
		v.Wrong(keyPostgres.Name, "other processes can see a password here: put it into a file and add ?passfile=FILE (man libpq-pgpass)")
	default:
		return text
	}
	return ""
}

// redisOf checks the key of that name.
func redisOf(v *config.Values) string {
	text := v.String(keyRedis.Name)
	if text == "" {
		return ""
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "redis" && u.Scheme != "rediss" || u.Host == "":
		v.Wrong(keyRedis.Name, "want redis://host:port/db, or rediss:// for TLS") // without the value: it may hold a password
	case hasPassword(u):
		v.Wrong(keyRedis.Name, "other processes can see a password here: put it into a file and add ?passfile=FILE")
	default:
		if err := redis.Check(text); err != nil {
			v.Wrong(keyRedis.Name, "%w", err)
			return ""
		}
		return text
	}
	return ""
}

func hasPassword(u *url.URL) bool {
	_, set := u.User.Password()
	return set || u.Query().Has("password")
}

// clusterOf reads the key cql; without hosts there is no cluster.
func clusterOf(v *config.Values, replication int) cql.Config {
	hosts, keyspace, named := strings.Cut(v.String(keyCQL.Name), "/")
	cfg := cql.Config{Keyspace: keyspace, Replication: replication}
	for h := range strings.SplitSeq(hosts, ",") {
		if h = strings.TrimSpace(h); h != "" {
			cfg.Hosts = append(cfg.Hosts, h)
		}
	}
	if named && (keyspace == "" || len(cfg.Hosts) == 0) {
		v.Wrong(keyCQL.Name, "%q: want host:port,... and perhaps /KEYSPACE", v.String(keyCQL.Name))
	}
	return cfg
}
