package dev

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Row is one role of the mesh as mesh.json tells it: addresses are host:port, "" where the role has none. The pid is 0 while the role's
// process is gone.
type Row struct {
	Role  string `json:"role"`
	Name  string `json:"name"`
	PID   int    `json:"pid"`
	HTTP  string `json:"http"`
	TLS   string `json:"tls"`
	Admin string `json:"admin"`
	NATS  string `json:"nats"` // where its clients connect: cores to a hub, edges to a leaf

	leafnodes string // of a hub: where leaves connect
	cluster   string // of one among several hubs: where the others connect
	peers     string // their cluster URLs
	upstream  string // URLs: of a leaf the hubs' leafnodes, of a core the hubs' nats, of an edge the leaf's nats
}

// A plan says who listens where.
type plan struct {
	hubs   []Row
	cores  []Row
	leaves []Row
	edges  []Row
	vip    string
	ports  *ports
	asked  map[string]string // address → the flag that asked for it
	waited bool              // for a port of the last mesh to come free
}

// makePlan gives each role its addresses: those asked for, and for the rest the ones of the last start.
func makePlan(ctx context.Context, cfg *Config, kept *ports) (*plan, error) {
	p := &plan{vip: cfg.VIP, ports: kept, asked: map[string]string{}}
	for i := range max(cfg.Hubs, 1) {
		p.hubs = append(p.hubs, Row{Role: "hub", Name: fmt.Sprintf("hub-%d", i+1)})
	}
	for i := range max(cfg.Cores, 1) {
		p.cores = append(p.cores, Row{Role: "core", Name: fmt.Sprintf("core-%d", i+1)})
	}
	for i := range cfg.Leaves {
		p.leaves = append(p.leaves, Row{Role: "leaf", Name: fmt.Sprintf("leaf-%d", i+1)})
	}
	for i := range cfg.Edges {
		p.edges = append(p.edges, Row{Role: "edge", Name: fmt.Sprintf("edge-%d", i+1)})
	}
	var errs []error
	ask := func(flag, base string, i int, name string) string {
		addr, err := p.following(flag, base, i, name)
		if err != nil {
			errs = append(errs, err)
		}
		return addr
	}
	if p.vip != "" {
		p.asked[p.vip] = "vip"
	}
	for i := range p.edges {
		e := &p.edges[i]
		e.HTTP = ask("http", cfg.HTTP, i, e.Name+".http")
		e.TLS = ask("tls", cfg.TLS, i, e.Name+".tls")
		e.Admin = ask("admin", cfg.Admin, i, e.Name+".admin")
	}
	others := append([]*Row{&p.cores[0], &p.hubs[0]}, pointers(p.leaves)...)
	for i, r := range slices.Concat(others, pointers(p.hubs[1:]), pointers(p.cores[1:])) {
		r.Admin = p.spare(ctx, cfg.Admin, cfg.Edges+i, r.Name+".admin")
	}
	p.planHubs()
	for i := range p.cores {
		p.cores[i].upstream = urls(p.hubs, func(h Row) string { return h.NATS })
	}
	for i := range p.leaves {
		p.leaves[i].NATS = p.keep(p.leaves[i].Name + ".nats")
		p.leaves[i].upstream = urls(p.hubs, func(h Row) string { return h.leafnodes })
		if cfg.LeafVia != "" {
			via, err := links(cfg.LeafVia, i*len(p.hubs), len(p.hubs))
			if errs = append(errs, err); err == nil {
				p.leaves[i].upstream = via
			}
		}
	}
	for i := range p.edges {
		p.edges[i].upstream = "nats://" + p.leaves[i%len(p.leaves)].NATS
	}
	return p, errors.Join(errs...)
}

// planHubs gives the hubs their ports; several know each other.
func (p *plan) planHubs() {
	for i := range p.hubs {
		h := &p.hubs[i]
		h.NATS, h.leafnodes = p.keep(h.Name+".nats"), p.keep(h.Name+".leafnodes")
		if len(p.hubs) > 1 {
			h.cluster = p.keep(h.Name + ".cluster")
		}
	}
	for i := range p.hubs {
		others := slices.Concat(p.hubs[:i], p.hubs[i+1:])
		p.hubs[i].peers = urls(others, func(h Row) string { return h.cluster })
	}
}

// urls joins the NATS URLs of rows by commas.
func urls(rows []Row, addr func(Row) string) string {
	list := make([]string, len(rows))
	for i, r := range rows {
		list[i] = "nats://" + addr(r)
	}
	return strings.Join(list, ",")
}

// links are the URLs at n consecutive ports, the first of them skip ports after base: what listens there leads to the hubs.
func links(base string, skip, n int) (string, error) {
	host, port, err := split(base)
	if err != nil || port+skip+n > 65536 {
		return "", fmt.Errorf("leaf-via: %s: want host:port with %d ports from there on", base, skip+n)
	}
	list := make([]string, n)
	for i := range list {
		list[i] = "nats://" + net.JoinHostPort(host, strconv.Itoa(port+skip+i))
	}
	return strings.Join(list, ","), nil
}

func pointers(rows []Row) []*Row {
	list := make([]*Row, len(rows))
	for i := range rows {
		list[i] = &rows[i]
	}
	return list
}

// following is the address i ports after base, or any free one if base's port is 0.
func (p *plan) following(flag, base string, i int, name string) (string, error) {
	if base == "" {
		return "", nil
	}
	host, port, err := split(base)
	if err != nil {
		return "", fmt.Errorf("%s: %w", flag, err)
	}
	if port == 0 {
		return p.keep(name), nil
	}
	if port+i > 65535 {
		return "", fmt.Errorf("%s: port %d of %s is beyond 65535", flag, port+i, name)
	}
	addr := net.JoinHostPort(host, strconv.Itoa(port+i))
	if other := p.asked[addr]; other != "" {
		return "", fmt.Errorf("%s: %s of %s is also asked for by %s: edges take consecutive ports", flag, addr, name, other)
	}
	p.asked[addr] = flag
	return addr, nil
}

// spare is following for admin pages nobody asked for by number: where the port is taken another will do.
func (p *plan) spare(ctx context.Context, base string, i int, name string) string {
	host, port, err := split(base)
	if err != nil || port == 0 || port+i > 65535 {
		return p.keep(name)
	}
	addr := net.JoinHostPort(host, strconv.Itoa(port+i))
	if p.asked[addr] != "" {
		return p.keep(name)
	}
	// On a restart after a kill the last owner may hold it for a moment, and tools know it: worth a short wait.
	if taken(addr) != nil {
		limit := handOver
		if p.waited {
			limit = 0
		}
		p.waited = true
		if waitFree(ctx, []string{addr}, limit) != nil {
			return p.keep(name)
		}
	}
	p.asked[addr] = "admin"
	return addr
}

func (p *plan) keep(name string) string {
	for {
		addr := p.ports.get(name)
		if p.asked[addr] == "" {
			return addr
		}
		p.ports.drop(name)
	}
}

// handOver is how long a port may stay taken by the processes of a mesh that was just killed.
const handOver = 1500 * time.Millisecond

// free waits until every address is free; those nobody asked for are replaced where they are not. It reports all that stay taken.
func (p *plan) free(ctx context.Context) error {
	asked := make([]string, 0, len(p.asked))
	for addr := range p.asked {
		asked = append(asked, addr)
	}
	var errs []error
	left := waitFree(ctx, asked, handOver)
	for _, addr := range slices.Sorted(maps.Keys(left)) {
		flag, err := p.asked[addr], left[addr]
		errs = append(errs, fmt.Errorf("%s: port %s is not free (%w): stop what uses it or choose another with --%s HOST:PORT", flag, portOf(addr), err, flag))
	}
	return errors.Join(errs...)
}

// waitFree gives the addresses that are still taken when the limit has passed, with the reason.
func waitFree(ctx context.Context, addrs []string, limit time.Duration) map[string]error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var left map[string]error
		for _, addr := range addrs {
			if err := taken(addr); err != nil {
				if left == nil {
					left = map[string]error{}
				}
				left[addr] = err
			}
		}
		if left == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return left
		}
	}
}

// taken tells why nobody can listen on addr.
func taken(addr string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return ln.Close()
}

func split(addr string) (string, int, error) {
	host, p, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	port, err := strconv.Atoi(p)
	return host, port, err
}

func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}
