package transport

import "net/netip"

// Site is what one party has, as far as an address tells: an IPv4 address, or the /64 of an IPv6 one. What is no address is the zero Prefix.
func Site(remote string) netip.Prefix {
	addr, err := netip.ParseAddr(remote)
	if err != nil {
		return netip.Prefix{}
	}
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(bits)
	return p
}
