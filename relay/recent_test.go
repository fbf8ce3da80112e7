package relay

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-chat/starling/proto/pb"
)

// kept is a bucket whose every entry, from 10 on in tens, was applied; the log has them all.
type kept struct {
	recent
	at uint64
}

func newKept() *kept { return &kept{recent: recent{total: new(atomic.Int64)}, at: 1000} }

func (k *kept) apply(n int) {
	for range n {
		k.add(k.at, k.at+10, &pb.Entry{Incarnation: 1})
		k.at += 10
	}
}

// log is what somebody reads of it.
func (k *kept) log(from, to uint64) (list []logged) {
	for seq := from + 10; seq <= to; seq += 10 {
		list = append(list, logged{seq, &pb.Entry{Incarnation: 1}})
	}
	return list
}

// has wants the entries above from up to the last to be there, or not.
func (k *kept) has(t *testing.T, from uint64, want bool) {
	t.Helper()
	list, reached := k.between(from, k.at+30) // of which nobody here has heard
	if want && (reached != k.at || uint64(len(list)) != (k.at-from)/10) || !want && (reached != from || len(list) > 0) {
		t.Errorf("above %d up to %d: got %d entries, up to %d; want it: %v", from, k.at, len(list), reached, want)
	}
}

// A bucket keeps little; more once its past was asked for, from where it was asked for; and little again when nobody has for a minute.
func TestRecentWhileWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKept()
		k.apply(recentEntries + 100)
		k.has(t, 2000, true)
		k.has(t, 1990, false)
		k.wanted = time.Now()
		k.extend(1500, k.at-50, k.log(1500, k.at-50))
		k.has(t, 1500, true)
		k.apply(wantedEntries - 500)
		k.has(t, 1500, true)
		k.apply(500)
		k.has(t, 1500, false)
		time.Sleep(wantedFor)
		k.apply(1)
		k.has(t, k.at-10*recentEntries, true)
		k.has(t, k.at-10*recentEntries-10, false)
		if n := k.total.Load(); n != 0 {
			t.Errorf("%d bytes too many are counted", n)
		}
		k.wanted = time.Now()
		k.total.Store(wantedTotal) // by other buckets
		k.apply(10)
		k.has(t, k.at-10*recentEntries-10, false)
	})
}

// What does not meet what is there, is of another incarnation, or too much, is not taken.
func TestRecentExtend(t *testing.T) {
	k := newKept()
	k.apply(recentEntries + 100)
	k.extend(1500, 1980, k.log(1500, 1980)) // 1990 and 2000 are missing
	k.has(t, 1500, false)
	old := k.log(1500, 2500)
	for _, l := range old {
		l.entry.Incarnation = 7
	}
	k.extend(1500, 2500, old)
	k.has(t, 1500, false)
	k.extend(1500, 2500, nil)
	k.has(t, 1500, false)
	big := k.log(1500, 2500)
	big[0].entry.Events = []*pb.Event{{Body: make([]byte, wantedBytes)}}
	k.extend(1500, 2500, big)
	k.has(t, 1500, false)
	k.extend(1500, 2000, k.log(1500, 2000))
	k.has(t, 1500, true)
}
