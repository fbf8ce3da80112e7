package sqlstore

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
)

// Many ask the same at once, and many different things: the same is parsed once, of what differs so much is kept and the rest answered all the same, and
// what is no query says so.
func TestPrepared(t *testing.T) {
	s, err := OpenSQLite(context.Background(), filepath.Join(t.TempDir(), "d.db"))
	if err != nil {
		t.Fatal(err)
	}
	p := s.read.(*prepared)
	var wg sync.WaitGroup
	for i := range 8 * readers {
		wg.Go(func() {
			for k := range 2 * maxPrepared / (8 * readers) {
				var got [2]int
				if err := p.QueryRowContext(t.Context(), `SELECT $1 + 1`, k).Scan(&got[0]); err != nil {
					t.Error(err)
				}
				n := i*1000 + k
				if err := p.QueryRowContext(t.Context(), fmt.Sprintf(`SELECT %d + $1`, n), 1).Scan(&got[1]); err != nil {
					t.Error(err)
				}
				if got != [2]int{k + 1, n + 1} {
					t.Errorf("got %v for %d and %d", got, k, n)
				}
			}
		})
	}
	wg.Wait()
	if n := len(p.stmts); n < maxPrepared || n > maxPrepared+8*readers {
		t.Errorf("%d statements are kept", n)
	}
	if _, err := p.QueryContext(t.Context(), `SELEKT`); err == nil {
		t.Error("what is no query was answered")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.QueryContext(context.Background(), `SELECT $1 + 1`, 1); err == nil {
		t.Error("a closed store answered")
	}
}
