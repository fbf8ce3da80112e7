package proto

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/bwmarrin/snowflake"
)

func TestIDJSON(t *testing.T) {
	for _, c := range []struct {
		in   string
		want ID
		bad  bool
	}{
		{`"1"`, 1, false}, {`175928847299117063`, 175928847299117063, false}, {`"175928847299117063"`, 175928847299117063, false},
		{`["175928847299117063"]`, 175928847299117063, false}, {`[12]`, 12, false}, {`null`, 7, false}, {`[null]`, 7, false},
		{`9223372036854775807`, 1<<63 - 1, false},
		{`9223372036854775808`, 7, true}, {`"0"`, 7, true}, {`0`, 7, true}, {`""`, 7, true}, {`[]`, 7, true}, {`[1,2]`, 7, true}, {`[[1]]`, 7, true},
		{`-1`, 7, true}, {`1.0`, 7, true}, {`1e3`, 7, true}, {`" 1"`, 7, true}, {`{}`, 7, true}, {`true`, 7, true}, {`"99999999999999999999"`, 7, true},
	} {
		got := ID(7)
		if err := json.Unmarshal([]byte(c.in), &got); (err != nil) != c.bad || got != c.want {
			t.Errorf("%s: got %d, %v; want %d", c.in, got, err, c.want)
		}
	}
	if b, err := json.Marshal([]ID{1, 1<<63 - 1}); err != nil || string(b) != `["1","9223372036854775807"]` {
		t.Errorf("got %s, %v", b, err)
	}
}

// The example of Discord's reference, and the library's reading of the same bits.
func TestIDParts(t *testing.T) {
	id := ID(175928847299117063)
	if got := id.Time(); !got.Equal(time.Date(2016, 4, 30, 11, 18, 25, 796e6, time.UTC)) {
		t.Errorf("time: got %s", got)
	}
	if id.Bucket() != 1<<5 || id.Step() != 7 { // worker 1, process 0
		t.Errorf("got bucket %d, step %d", id.Bucket(), id.Step())
	}
	lib := snowflake.ID(id)
	if int(lib.Node()) != id.Bucket() || lib.Time() != id.Time().UnixMilli() {
		t.Errorf("library: node %d, time %d", lib.Node(), lib.Time())
	}
	if got := MakeID(id.Time(), id.Bucket(), id.Step()); got != id {
		t.Errorf("made again: got %d, want %d", got, id)
	}
	for _, bucket := range []int{0, 1, 511, 1023} {
		if got := MakeID(time.Now(), bucket, 4095); got.Bucket() != bucket || got.Step() != 4095 {
			t.Errorf("bucket %d: got %d, step %d", bucket, got.Bucket(), got.Step())
		}
	}
}

func TestIssuer(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	i := NewIssuer(5, 0)
	next := func(clock, log time.Time) ID {
		t.Helper()
		before := i.Last()
		id, err := i.Next(clock, log)
		if err != nil {
			t.Fatal(err)
		}
		if id <= before || id != i.Last() || id.Bucket() != 5 {
			t.Fatalf("got %d after %d, bucket %d", id, before, id.Bucket())
		}
		return id
	}
	if id := next(now, now); !id.Time().Equal(now) || id.Step() != 0 {
		t.Errorf("first: %s, step %d", id.Time(), id.Step())
	}
	if id := next(now.Add(-time.Hour), now); !id.Time().Equal(now) || id.Step() != 1 {
		t.Errorf("clock steps back: %s, step %d", id.Time(), id.Step())
	}
	if id := next(now.Add(time.Millisecond), now); id.Time().Equal(now) || id.Step() != 0 {
		t.Errorf("clock goes on: %s, step %d", id.Time(), id.Step())
	}
	// A full millisecond flows over into the next, up to the bound.
	i = NewIssuer(5, MakeID(now, 5, 4095))
	if id := next(now, now); !id.Time().Equal(now.Add(time.Millisecond)) || id.Step() != 0 {
		t.Errorf("overflow: %s, step %d", id.Time(), id.Step())
	}
	i = NewIssuer(5, MakeID(now.Add(Lead), 5, 4094))
	next(now, now)
	last := i.Last()
	if id, err := i.Next(now, now); !errors.Is(err, ErrClock) || id != 0 || i.Last() != last {
		t.Errorf("beyond the lead: got %d, %v", id, err)
	}
	next(now, now.Add(time.Millisecond)) // the log's time goes on
	i = NewIssuer(5, 0)
	if _, err := i.Next(now.Add(Lead+time.Millisecond), now); !errors.Is(err, ErrClock) {
		t.Errorf("a clock that runs ahead: %v", err)
	}
	next(now.Add(Lead), now)
	i = NewIssuer(0, 0)
	if id, err := i.Next(time.UnixMilli(0), time.UnixMilli(0)); err != nil || id == 0 {
		t.Errorf("before the epoch: got %d, %v", id, err)
	}
}

func TestTime(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678900000, time.FixedZone("", 3600))
	b, err := json.Marshal(Time(at))
	if err != nil || string(b) != `"2026-01-02T02:04:05.678900+00:00"` {
		t.Errorf("got %s, %v", b, err)
	}
	for in, bad := range map[string]bool{`"2026-01-02T02:04:05.678900+00:00"`: false, `"2026-01-02T02:04:05.6789Z"`: false,
		`"2026-01-02T03:04:05.6789+01:00"`: false, `"2026-01-02"`: true, `1`: true, `""`: true, `{}`: true} {
		var got Time
		if err := json.Unmarshal([]byte(in), &got); (err != nil) != bad || !bad && !time.Time(got).Equal(at) {
			t.Errorf("%s: got %s, %v", in, got, err)
		}
	}
	got := Time(at)
	if err := json.Unmarshal([]byte("null"), &got); err != nil || !time.Time(got).Equal(at) {
		t.Errorf("null: got %s, %v", got, err)
	}
}
