package seed

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// Progress shows how far total steps are: a bar on a terminal, a line per tenth elsewhere.
func Progress(w io.Writer, total int, what string) (step, done func()) {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		bar := progressbar.NewOptions(total, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(what),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionThrottle(50*time.Millisecond))
		return func() { bar.Add(1) }, func() { fmt.Fprintln(w) }
	}
	var mu sync.Mutex
	n := 0
	return func() {
		mu.Lock()
		defer mu.Unlock()
		if n++; n*10/total > (n-1)*10/total {
			fmt.Fprintf(w, "%s: %d of %d\n", what, n, total)
		}
	}, func() {}
}
