// Package edge is one edge node: it holds client connections, keeps per guild the table of sessions (the roster), and fans events of the
// log out to them; REST requests it forwards to the cores. It knows no database and no core: all it hears and asks travels over its leaf
// of the relay, and any edge may vanish at any moment. How bytes reach a socket is the matter of package transport.
package edge
