// Package proto is the contract of the mesh: ids, permission rules, gateway frames, REST payloads, error and close codes, and the
// protobuf schemas (package pb) of what travels between cores and edges. It holds types and pure functions only: it opens no socket,
// reads no clock but for new ids, and imports nothing of ours.
package proto
