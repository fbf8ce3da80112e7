// Package faults breaks the real servers under a mesh while package check keeps it under load: Cassandra stopped and killed, Redis killed,
// Postgres killed, all at once, cores killed meanwhile. Every story asserts what must hold whatever happens (nothing lost, doubled or
// out of order) and gives figures; how good these have to be is for `make proof-core` to say, on a machine that does nothing else. It
// starts servers and a mesh of processes of its own:
//
//	lab, err := faults.Open(ctx, "", log.Printf)
//	...
//	figures, err := lab.CassandraStopped(ctx, 200, 30*time.Second)
//
// A region is a mesh of three cores and three hubs on such servers. Its faults are values, done one after the other to one mesh under one load,
// while a builder makes channels and editors send, edit and remove messages, whose answers must agree with one order (porcupine):
//
//	lab, err := faults.OpenRegion(ctx, "", log.Printf)
//	...
//	figures, err := lab.Day(ctx, 100, faults.OwnerKilled(), faults.HubStopped(10*time.Second))
//
// ClockSet needs a binary of BuildWithClocks, whose time package is another one.
//
// An error means that something was lost, doubled, out of order or did not heal; the figures are there all the same.
//
// Environment of its tests: STARLING_BIN is a mesh's binary, instead of one that is built; STARLING_MESH_LOG a file for the mesh's log.
package faults
