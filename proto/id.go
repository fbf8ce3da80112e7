package proto

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Epoch is Discord's epoch in Unix milliseconds; clients compute times from ids with it.
const Epoch = 1420070400000

// Buckets is how many buckets there are. It never changes: ids carry theirs.
const Buckets = 1024

// An ID is a snowflake: 42 bits of milliseconds since Epoch, 10 bits of bucket, 12 bits of step.
// In JSON it is written as a decimal string and read from a string, a number, or a list of exactly one of them
// (discordgo sends op 8's guild_id so).
type ID uint64

// Bucket tells which bucket issued the id, 0 to 1023: its owner orders everything under the id.
func (id ID) Bucket() int { return int(id >> 12 & (Buckets - 1)) }

// Time is when the id was issued, to the millisecond.
func (id ID) Time() time.Time { return time.UnixMilli(int64(id>>22) + Epoch).UTC() }

// String gives the decimal form.
func (id ID) String() string { return strconv.FormatUint(uint64(id), 10) }

// MarshalJSON writes a decimal string.
func (id ID) MarshalJSON() ([]byte, error) {
	b := make([]byte, 0, 22)
	b = append(b, '"')
	b = strconv.AppendUint(b, uint64(id), 10)
	return append(b, '"'), nil
}

// UnmarshalJSON reads a decimal string, a number, or a list of one; null leaves the id as it is.
func (id *ID) UnmarshalJSON(b []byte) error {
	s := string(b)
	if s == "null" {
		return nil
	}
	if len(s) > 0 && s[0] == '[' {
		var one []json.RawMessage
		if err := json.Unmarshal(b, &one); err != nil {
			return err
		}
		if len(one) != 1 || len(one[0]) == 0 || one[0][0] == '[' {
			return fmt.Errorf("snowflake %.40q: want one id", s)
		}
		return id.UnmarshalJSON(one[0])
	}
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		s = s[1 : len(s)-1]
	}
	v, err := ParseID(s)
	if err != nil {
		return err
	}
	*id = v
	return nil
}

// ParseID reads the decimal form: digits only, 1 to 2^63-1.
func ParseID(s string) (ID, error) {
	if s == "" || len(s) > 19 {
		return 0, fmt.Errorf("snowflake %.40q: want 1 to 19 digits", s)
	}
	var v uint64
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("snowflake %.40q: want digits", s)
		}
		v = v*10 + uint64(c-'0')
	}
	if v == 0 || v > 1<<63-1 {
		return 0, fmt.Errorf("snowflake %s: out of range", s)
	}
	return ID(v), nil
}
