// Package faults breaks the real servers under a mesh while package check keeps it under load: Cassandra stopped and killed, Redis killed,
// Postgres killed, all at once, cores killed meanwhile. Every story asserts what must hold whatever happens (nothing lost, doubled or
// out of order) and gives figures; how good these have to be is for `make proof-core` to say, on a machine that does nothing else. It
// starts servers and a mesh of processes of its own.
package faults
