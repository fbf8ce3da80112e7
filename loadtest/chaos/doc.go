// Package chaos is the lab behind `starling chaos`: it runs a whole mesh of processes, lets many clients listen through one address, over all
// edges, while writers write, breaks parts of the mesh by a plan, and then says of every message what became of it: acknowledged, in
// history, heard by whom, once, in order, by nobody who was not allowed to.
//
// The order of things is the guild's log. Sessions of the guilds' owner, one at each edge, witness it: they see every message and every
// change of rights, so for each message the permission rule says who had to get it and who must not. A moment that no witness saw, which
// is rare, is decided where the moments around it agree, and counted as undecided where they do not.
//
// It speaks the public wire alone. It is no benchmark: figures are those of one machine that does everything at once, faults included.
package chaos
