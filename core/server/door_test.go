package server

import (
	"io"
	"net"
	"sync"
	"testing"
)

// A door is an address behind which a server is while it is open. Shut, it is as if the server were gone: connections end, none begins.
type door struct {
	t       *testing.T
	address string // of the door
	server  string

	mu       sync.Mutex
	listener net.Listener // nil while shut
	conns    map[net.Conn]bool
	wg       sync.WaitGroup
}

// newDoor makes a door to a server, shut.
func newDoor(t *testing.T, server string) *door {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{t: t, address: ln.Addr().String(), server: server, listener: ln, conns: map[net.Conn]bool{}}
	d.shut()
	t.Cleanup(func() { d.shut(); d.wg.Wait() })
	return d
}

func (d *door) open() {
	d.t.Helper()
	ln, err := net.Listen("tcp", d.address)
	if err != nil {
		d.t.Fatal(err)
	}
	d.mu.Lock()
	d.listener = ln
	d.mu.Unlock()
	d.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			d.wg.Go(func() { d.pass(c) })
		}
	})
}

func (d *door) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.listener == nil {
		return
	}
	d.listener.Close()
	d.listener = nil
	for c := range d.conns {
		c.Close()
	}
	clear(d.conns)
}

// pass carries bytes both ways until either side ends.
func (d *door) pass(c net.Conn) {
	defer c.Close()
	s, err := net.Dial("tcp", d.server)
	if err != nil {
		return
	}
	defer s.Close()
	d.mu.Lock()
	if d.listener == nil {
		d.mu.Unlock()
		return
	}
	d.conns[c], d.conns[s] = true, true
	d.mu.Unlock()
	d.wg.Go(func() { defer c.Close(); io.Copy(c, s) })
	io.Copy(s, c)
}
