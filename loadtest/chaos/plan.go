package chaos

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kinds of faults.
const (
	Kill     = "kill"      // kill -9 of a role's process, or of a store; it is started again
	Stop     = "stop"      // SIGSTOP, and SIGCONT after a while
	Cut      = "cut"       // a leaf's links to all hubs end, and none comes up for a while
	Slow     = "slow"      // what passes a leaf's links takes long
	HalfOpen = "half-open" // hubs think a leaf's links gone, the leaf does not
	Drain    = "drain"     // SIGTERM to an edge, or a core
	Sockets  = "sockets"   // a share of the clients' sockets is cut
	Rights   = "rights"    // members lose rights and get them back after a while
)

// Ways to lose rights.
const (
	ByRole      = "role"      // a role that may not see a channel
	ByOverwrite = "overwrite" // the member's own overwrite
	ByKick      = "kick"
	ByBan       = "ban"
)

var ways = []string{ByRole, ByOverwrite, ByKick, ByBan}

// A Fault is one line of a plan.
type Fault struct {
	At     time.Duration // from when the load began
	Kind   string
	Target string        // edge-1, leaf-1, hub-1, core-1, postgres, redis, cassandra; of Sockets none; of Rights the way
	Count  int           // Sockets: percent; Rights: members
	For    time.Duration // of all that passes by itself
}

// String is the line, as Parse reads it.
func (f Fault) String() string {
	parts := []string{clock(f.At), f.Kind}
	switch f.Kind {
	case Sockets:
		parts = append(parts, fmt.Sprintf("%d%%", f.Count))
	case Rights:
		parts = append(parts, f.Target, strconv.Itoa(f.Count))
	default:
		parts = append(parts, f.Target)
	}
	if f.For > 0 {
		parts = append(parts, "for", f.For.String())
	}
	return strings.Join(parts, " ")
}

// What tells a fault without its time.
func (f Fault) What() string { _, what, _ := strings.Cut(f.String(), " "); return what }

// clock is a time as minutes and seconds: 1:05, or 1:05.25.
func clock(d time.Duration) string {
	minutes := d / time.Minute
	text := fmt.Sprintf("%d:%06.3f", minutes, (d - minutes*time.Minute).Seconds())
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

func parseClock(text string) (time.Duration, error) {
	minutes, seconds, both := strings.Cut(text, ":")
	if !both {
		minutes, seconds = "0", text
	}
	m, err := strconv.ParseUint(minutes, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("time %q: want minutes:seconds", text)
	}
	s, err := strconv.ParseFloat(seconds, 64)
	if err != nil || s < 0 || s >= 60 && both || s > 1e6 {
		return 0, fmt.Errorf("time %q: want minutes:seconds", text)
	}
	return time.Duration(m)*time.Minute + time.Duration(s*1000)*time.Millisecond, nil
}

// A Plan is faults in the order of time.
type Plan []Fault

// String is the text of the plan, which Parse reads.
func (p Plan) String() string {
	var b strings.Builder
	for _, f := range p {
		fmt.Fprintln(&b, f)
	}
	return b.String()
}

// Shape is what of a mesh there is to break.
type Shape struct {
	Edges, Leaves, Hubs, Cores int
	Stores                     []string // servers that the lab may break
}

// Targets are the names of what a fault of a kind can hit.
func (s Shape) Targets(kind string) []string {
	roles := func(role string, n int) []string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprintf("%s-%d", role, i+1)
		}
		return list
	}
	switch kind {
	case Kill, Stop:
		return slices.Concat(roles("edge", s.Edges), roles("leaf", s.Leaves), roles("hub", s.Hubs), roles("core", s.Cores), s.Stores)
	case Cut, Slow, HalfOpen:
		return roles("leaf", s.Leaves)
	case Drain:
		return slices.Concat(roles("edge", s.Edges), roles("core", s.Cores))
	case Rights:
		return ways
	}
	return nil
}

const maxFaults = 10_000

// Parse reads a plan: a fault a line, # begins a comment. It reports all mistakes at once, each with its line.
func Parse(r io.Reader, s Shape) (Plan, error) {
	var p Plan
	var errs []error
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(text)
		if len(fields) == 0 {
			continue
		}
		f, err := parseFault(fields, s)
		if err != nil {
			errs = append(errs, fmt.Errorf("line %d: %w", n, err))
		}
		if p = append(p, f); len(p) > maxFaults {
			return nil, fmt.Errorf("more than %d faults", maxFaults)
		}
	}
	if err := errors.Join(append(errs, lines.Err())...); err != nil {
		return nil, err
	}
	slices.SortStableFunc(p, func(a, b Fault) int { return int(a.At - b.At) })
	return p, nil
}

// lasting kinds pass by themselves, after the time that "for" says.
var lasting = []string{Stop, Cut, Slow, HalfOpen, Rights}

func parseFault(fields []string, s Shape) (f Fault, err error) {
	if f.At, err = parseClock(fields[0]); err != nil {
		return f, err
	}
	if n := len(fields); n > 3 && fields[n-2] == "for" {
		if f.For, err = time.ParseDuration(fields[n-1]); err != nil || f.For <= 0 || f.For > time.Hour {
			return f, fmt.Errorf("for %q: want a duration such as 4s", fields[n-1])
		}
		fields = fields[:n-2]
	}
	if len(fields) < 3 {
		return f, fmt.Errorf("%q: want TIME FAULT TARGET, such as: 0:10 kill edge-1", strings.Join(fields, " "))
	}
	f.Kind, f.Target = fields[1], fields[2]
	rest := fields[3:]
	switch f.Kind {
	case Sockets:
		f.Count, err = strconv.Atoi(strings.TrimSuffix(f.Target, "%"))
		if err != nil || f.Count < 1 || f.Count > 100 || !strings.HasSuffix(f.Target, "%") {
			return f, fmt.Errorf("sockets %s: want a share such as 20%%", f.Target)
		}
		f.Target = ""
	case Rights:
		if len(rest) != 1 {
			return f, errors.New("rights: want a way and how many members, such as: 0:10 rights kick 10 for 3s")
		}
		if f.Count, err = strconv.Atoi(rest[0]); err != nil || f.Count < 1 || f.Count > 100_000 {
			return f, fmt.Errorf("rights %s %s: want how many members", f.Target, rest[0])
		}
		rest = nil
		fallthrough
	case Kill, Stop, Cut, Slow, HalfOpen, Drain:
		if targets := s.Targets(f.Kind); !slices.Contains(targets, f.Target) {
			return f, fmt.Errorf("%s %s: want one of %s", f.Kind, f.Target, strings.Join(targets, " "))
		}
	default:
		return f, fmt.Errorf("%s: want one of kill stop cut slow half-open drain sockets rights", f.Kind)
	}
	switch lasts := slices.Contains(lasting, f.Kind); {
	case len(rest) > 0:
		return f, fmt.Errorf("%s: %q is too much", f.Kind, strings.Join(rest, " "))
	case lasts && f.For == 0:
		return f, fmt.Errorf("%s %s: for how long? such as: for 4s", f.Kind, f.Target)
	case !lasts && f.For > 0:
		return f, fmt.Errorf("%s passes when it has been done: leave out for %v", f.Kind, f.For)
	}
	return f, nil
}
