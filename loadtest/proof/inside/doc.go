// Package inside opens the stores of a core that does not run, fills them with what would take days over the wire, and measures what reads
// cost without the rest of the mesh around them. What it fills in is written by the stores' own Apply, or is a copy of rows that Apply wrote.
// It is a part of the proof, not of the mesh, and the one folder of loadtest that may look inside.
package inside
