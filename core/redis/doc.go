// Package redis keeps what is of the moment in Redis, for all cores of a region: presence, the session registry, limits and caches. It needs
// Redis 6.2 or later, alone or as a cluster: the keys of one command are in one slot, always, by the hash tag in braces. Redis is no store of
// record here: it may be empty at any time, and away, which costs each call an error and not its time (breaker.go).
package redis
