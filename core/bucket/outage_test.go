package bucket

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// However many buckets a store fails, an operator reads one line when it begins, one now and then, and one when it is over.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		log := slog.New(slog.NewTextHandler(&text, nil))
		o := outage{store: "history"}
		lines := func(what string, want ...string) {
			t.Helper()
			got := strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
			if text.Len() == 0 {
				got = nil
			}
			text.Reset()
			if len(got) != len(want) {
				t.Fatalf("%s: got %d lines %q, want %d", what, len(got), got, len(want))
			}
			for i := range want {
				if !strings.Contains(got[i], want[i]) {
					t.Errorf("%s: got %q, want %q in it", what, got[i], want[i])
				}
			}
		}
		gone := errors.New("gone")
		for range 100 {
			o.failed(log, true, 7, gone)
		}
		o.failed(log, false, 7, gone)
		lines("begun", "does not apply")
		time.Sleep(outageTell)
		o.failed(log, false, 7, gone)
		o.failed(log, false, 7, gone)
		lines("goes on", "failing=100")
		for range 99 {
			o.over(log)
		}
		lines("nearly over")
		o.over(log)
		lines("over", "applies again")
		o.failed(log, true, 8, gone)
		lines("another", "since=0s")
	})
}
