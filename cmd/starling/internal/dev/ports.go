package dev

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
)

// Chosen ports lie below those that Linux gives to outgoing connections (32768 and up), so that none of these takes a kept one.
const (
	lowPort  = 20000
	highPort = 32000
)

// ports keeps the ports that were chosen for roles, so that a role that starts again is found where it was.
type ports struct {
	path   string
	byName map[string]int
	used   map[int]bool
}

// openPorts reads what the last start kept and lets go of the ports that meanwhile others use.
func openPorts(ctx context.Context, path string) (*ports, error) {
	p := &ports{path: path, byName: map[string]int{}, used: map[int]bool{}}
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return p, nil
	case err != nil:
		return nil, err
	}
	if err := json.Unmarshal(text, &p.byName); err != nil {
		return nil, fmt.Errorf("%s: %w; remove it to have it made anew", path, err)
	}
	names := map[string]string{}
	for name, port := range p.byName {
		names[local(port)] = name
	}
	addrs := make([]string, 0, len(names))
	for addr := range names {
		addrs = append(addrs, addr)
	}
	for addr := range waitFree(ctx, addrs, handOver) {
		delete(p.byName, names[addr])
	}
	for _, port := range p.byName {
		p.used[port] = true
	}
	return p, nil
}

// get gives the kept port of a name as an address, choosing a free one at first.
func (p *ports) get(name string) string {
	if port := p.byName[name]; port != 0 {
		return local(port)
	}
	port := 0
	for range 1000 {
		port = lowPort + rand.IntN(highPort-lowPort)
		if !p.used[port] && taken(local(port)) == nil {
			break
		}
	}
	p.byName[name], p.used[port] = port, true
	return local(port)
}

// drop lets the next get choose another port.
func (p *ports) drop(name string) { delete(p.byName, name) }

func (p *ports) save() error {
	text, err := json.MarshalIndent(p.byName, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(p.path, append(text, '\n'))
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
