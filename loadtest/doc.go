// Package loadtest holds the stories: tests that start a whole mesh from the built binary and use it as clients do, over the public wire
// alone. What a story needs is in its folders: mesh starts the binary, client speaks the wire, shape knows its strictest form; check
// judges what becomes of messages under load, and faults breaks the real servers meanwhile; rule says who may see what at which moment, and
// chaos, which is also `starling chaos`, breaks everything at once; proof measures and prints figures. Nothing here imports the servers'
// packages.
//
// Environment: STARLING_NO_SKIP=1 makes the discord.js stories fail where node is missing, instead of skipping; STARLING_ROUNDS (50) is how
// often the mesh is killed, STARLING_SEED repeats the choices of a run that printed it. Built with -race, the stories build the mesh with
// it too and fail on any report in its log.
package loadtest
