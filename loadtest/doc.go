// Package loadtest holds the stories: tests that start a whole mesh from the built binary and use it as clients do, over the public wire
// alone. What a story needs is in its folders: mesh starts the binary, client speaks the wire, shape knows its strictest form; proof
// measures and prints figures. Nothing here imports the servers' packages.
package loadtest
