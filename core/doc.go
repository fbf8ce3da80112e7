// Package core is the domain of a region in plain Go: the commands that owners of buckets execute, the interfaces of the stores, and the
// rules that both sides of them keep. It imports no store, no HTTP and no NATS: folders beside it, each named after its technology, do.
package core
