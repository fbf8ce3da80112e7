// Package bucket is the owner of buckets: one goroutine per bucket in use executes its commands against state in memory, appends what they
// change to the log as one entry per group, has the stores apply it, and answers. It is the authority on rights, limits and ids. It is
// not the API (which asks it over the bus), stores nothing itself, and knows no HTTP.
package bucket
