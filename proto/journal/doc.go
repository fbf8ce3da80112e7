// Package journal tells where a client of an edge stands: what one start of the edge wrote about its numbers, kept so that a position at any
// number is found by binary search. It knows no network and no clock: whoever reads the records adds them, in whatever order they come.
package journal
