package chaos

import (
	"fmt"
	"io"
	"sync"
)

// progress writes lines, and on a terminal a status line below them.
type progress struct {
	out      io.Writer
	terminal bool

	mu    sync.Mutex
	below string
}

const clearLine = "\r\x1b[K"

func (p *progress) line(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	if p.terminal {
		fmt.Fprint(p.out, clearLine, text, "\n", p.below)
		return
	}
	fmt.Fprintln(p.out, text)
}

// status replaces the line below; nothing where there is no terminal.
func (p *progress) status(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal {
		p.below = fmt.Sprintf(format, args...)
		fmt.Fprint(p.out, clearLine, p.below)
	}
}

// fault is a line for a fault that began.
func (p *progress) fault(d Done) {
	if d.Err != nil {
		p.line("%s  %s: %v", clock(d.Began), d.What(), d.Err)
		return
	}
	p.line("%s  %s", clock(d.Began), d.What())
}
