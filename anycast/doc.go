// Package anycast brings clients to a live edge by one address. Forwarder is the stand-in for machines without BGP: it listens on the
// address and forwards each TCP connection to an edge whose health URL answers, as a router would by its routes. It reads nothing of what
// it carries, keeps no session, knows no other package of ours, and is not for production: there the address is announced by every edge
// itself and packets never pass through one process.
package anycast
