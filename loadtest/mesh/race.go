//go:build race

package mesh

// Race tells whether this program was built with the race detector: its meshes are then built with it too.
const Race = true
