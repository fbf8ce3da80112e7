// Package check puts a mesh under a steady load of messages and then judges what became of each, over the public wire alone: writers send
// over all edges and repeat what was not answered under an enforced nonce, live clients listen at all edges and resume, and at the end the
// whole history of every channel is paged through. What it asks of a mesh, whatever is done to it meanwhile:
//
//   - every acknowledged message is in history exactly once, under the id that was answered;
//   - history holds nothing that nobody sent;
//   - each live client heard each message once, in the order of ids, which is the order of history.
//
// It breaks nothing itself: faults and labs do that between Open and Finish. It edits and deletes nothing, and it starts no mesh.
package check
