package proto

import (
	"encoding/json"
	"fmt"
	"time"
)

// A Time is written in the one form that every client parses: 2026-01-02T03:04:05.678000+00:00.
type Time time.Time

const timeLayout = "2006-01-02T15:04:05.000000-07:00"

func (t Time) String() string { return time.Time(t).UTC().Format(timeLayout) }

// MarshalJSON writes six fraction digits and +00:00.
func (t Time) MarshalJSON() ([]byte, error) { return json.Marshal(t.String()) }

// UnmarshalJSON reads any RFC 3339 time; null leaves it as it is.
func (t *Time) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	var v time.Time
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	if y := v.UTC().Year(); y < 0 || y > 9999 { // an offset can lead there; nobody could read what we would write
		return fmt.Errorf("time %s: year %d in UTC", b, y)
	}
	*t = Time(v)
	return nil
}
