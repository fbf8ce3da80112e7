package proto

import (
	"bytes"
	"encoding/json"
	"testing"
)

// again checks that what was read is written so that it reads the same: the second form is the law.
func again[T any](t *testing.T, in []byte) {
	var v T
	if json.Unmarshal(in, &v) != nil {
		return
	}
	first, err := json.Marshal(v)
	if err != nil {
		return // read but cannot be written: a year beyond 9999
	}
	var w T
	if err := json.Unmarshal(first, &w); err != nil {
		t.Fatalf("%q was read, but not its own form %s: %v", in, first, err)
	}
	second, err := json.Marshal(w)
	if err != nil || !bytes.Equal(first, second) {
		t.Fatalf("%q: %s became %s, %v", in, first, second, err)
	}
}

func FuzzID(f *testing.F) {
	for _, s := range []string{`"1"`, `12`, `["3"]`, `[4]`, `null`, `[null]`, `"0"`, `-1`, `1e3`, `[[1]]`, `"\u0031"`, `9223372036854775808`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		id := ID(1)
		if json.Unmarshal(in, &id) == nil && (id == 0 || id > 1<<63-1) {
			t.Fatalf("%q: got %d", in, id)
		}
		if v, err := ParseID(string(in)); err == nil {
			if w, err := ParseID(v.String()); err != nil || w != v {
				t.Fatalf("%q: %d became %d, %v", in, v, w, err)
			}
			if v.Bucket() < 0 || v.Bucket() >= Buckets || MakeID(v.Time(), v.Bucket(), v.Step()) != v {
				t.Fatalf("%d is not its parts", v)
			}
		}
	})
}

func FuzzPermissions(f *testing.F) {
	for _, s := range []string{`"0"`, `2048`, `null`, `"9223372036854775807"`, `-1`, `""`, `"\u0031"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(again[Permissions])
}

func FuzzTime(f *testing.F) {
	for _, s := range []string{`"2026-01-02T03:04:05.678000+00:00"`, `"2026-01-02T03:04:05Z"`, `null`, `""`, `"9999-12-31T23:59:59-23:59"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(again[Time])
}

func FuzzFrame(f *testing.F) {
	for _, s := range []string{`{"op":1,"d":null}`, `{"d":{"token":"x"},"op":2}`, `{"op":0,"d":{},"s":5,"t":"READY"}`, `{"op":"1"}`, `[]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(again[Frame])
}

func FuzzIdentify(f *testing.F) {
	for _, s := range []string{`{"token":"Bot x","intents":513,"shard":[0,1],"compress":true,"large_threshold":50}`, `{"intents":null,"shard":null}`,
		`{"shard":[1]}`, `{"shard":[1,2,3]}`, `{"intents":-1}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(again[Identify])
}

func FuzzResume(f *testing.F) {
	for _, s := range []string{`{"token":"x","session_id":"y","seq":5}`, `{"seq":-1}`, `{"seq":null}`, `{"seq":9223372036854775808}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(again[Resume])
}

func FuzzRequestMembers(f *testing.F) {
	for _, s := range []string{`{"guild_id":"1","query":"","limit":0}`, `{"guild_id":["1"],"user_ids":[1,"2"],"nonce":"x"}`,
		`{"guild_id":1,"user_ids":"3","presences":true}`, `{"guild_id":[]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var v RequestMembers
		if json.Unmarshal(in, &v) == nil && v.GuildID != 0 {
			again[RequestMembers](t, in)
		}
	})
}
