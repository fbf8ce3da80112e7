// Package shape holds the strictest form of every object on the public wire and compares what a server sends with it: keys that must be
// there, JSON types, ids as strings, the one form of timestamps, permissions as strings, no nulls but where null means something.
// It knows neither server nor client, and keys that it does not know are welcome.
package shape

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"sort"
	"strconv"
)

// A Shape compares a decoded JSON value (numbers as json.Number) with a form and tells each difference.
type Shape func(path string, v any, tell func(problem string))

// Check decodes JSON and compares it with s.
func (s Shape) Check(name string, raw []byte) []string {
	var problems []string
	tell := func(p string) { problems = append(problems, p) }
	v, err := decode(raw)
	if err != nil {
		return []string{fmt.Sprintf("%s: not JSON: %v: %.200s", name, err, raw)}
	}
	s(name, v, tell)
	return problems
}

func decode(raw []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, fmt.Errorf("more than one value")
	}
	return v, nil
}

func short(v any) string {
	b, _ := json.Marshal(v)
	if len(b) > 80 {
		b = append(b[:77], "..."...)
	}
	return string(b)
}

// Any is anything at all.
func Any(string, any, func(string)) {}

// Str is a string.
func Str(path string, v any, tell func(string)) {
	if _, ok := v.(string); !ok {
		tell(fmt.Sprintf("%s: got %s, want a string", path, short(v)))
	}
}

// Filled is a string that is not empty.
func Filled(path string, v any, tell func(string)) {
	if s, ok := v.(string); !ok || s == "" {
		tell(fmt.Sprintf("%s: got %s, want a string that is not empty", path, short(v)))
	}
}

// Bool is true or false.
func Bool(path string, v any, tell func(string)) {
	if _, ok := v.(bool); !ok {
		tell(fmt.Sprintf("%s: got %s, want a bool", path, short(v)))
	}
}

// Int is a JSON integer without fraction or exponent.
func Int(path string, v any, tell func(string)) {
	n, ok := v.(json.Number)
	if ok {
		_, err := strconv.ParseInt(string(n), 10, 64)
		ok = err == nil
	}
	if !ok {
		tell(fmt.Sprintf("%s: got %s, want an integer", path, short(v)))
	}
}

// Number is any JSON number.
func Number(path string, v any, tell func(string)) {
	if _, ok := v.(json.Number); !ok {
		tell(fmt.Sprintf("%s: got %s, want a number", path, short(v)))
	}
}

// Nonce is a string or an integer.
func Nonce(path string, v any, tell func(string)) {
	if _, ok := v.(string); !ok {
		Int(path, v, tell)
	}
}

// Exactly is the one value given, compared as JSON.
func Exactly(want any) Shape {
	b, _ := json.Marshal(want)
	return func(path string, v any, tell func(string)) {
		if got := short(v); got != string(b) {
			tell(fmt.Sprintf("%s: got %s, want %s", path, got, b))
		}
	}
}

var digits = regexp.MustCompile(`^[0-9]+$`)

// ID is a snowflake: a decimal string from 1 to 2^63-1.
func ID(path string, v any, tell func(string)) {
	s, ok := v.(string)
	if ok && digits.MatchString(s) && s[0] != '0' {
		if _, err := strconv.ParseInt(s, 10, 64); err == nil {
			return
		}
	}
	tell(fmt.Sprintf("%s: got %s, want an id: a decimal string from 1 to 2^63-1", path, short(v)))
}

// Perm is a permission set: a decimal string that fits a signed 64-bit integer.
func Perm(path string, v any, tell func(string)) {
	s, ok := v.(string)
	if ok && digits.MatchString(s) {
		if _, err := strconv.ParseInt(s, 10, 64); err == nil {
			return
		}
	}
	tell(fmt.Sprintf("%s: got %s, want permissions: a decimal string of at most 63 bits", path, short(v)))
}

// Digits is a string of digits, as the discriminator is.
func Digits(path string, v any, tell func(string)) {
	if s, ok := v.(string); !ok || !digits.MatchString(s) {
		tell(fmt.Sprintf("%s: got %s, want a string of digits", path, short(v)))
	}
}

var timeForm = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00$`)

// Time is a timestamp with six fraction digits and +00:00.
func Time(path string, v any, tell func(string)) {
	if s, ok := v.(string); !ok || !timeForm.MatchString(s) {
		tell(fmt.Sprintf("%s: got %s, want a time like 2026-01-02T03:04:05.678000+00:00", path, short(v)))
	}
}

// Null is null or s.
func Null(s Shape) Shape {
	return func(path string, v any, tell func(string)) {
		if v != nil {
			s(path, v, tell)
		}
	}
}

// List is an array of s.
func List(s Shape) Shape {
	return func(path string, v any, tell func(string)) {
		l, ok := v.([]any)
		if !ok {
			tell(fmt.Sprintf("%s: got %s, want an array", path, short(v)))
			return
		}
		for i, e := range l {
			s(fmt.Sprintf("%s[%d]", path, i), e, tell)
		}
	}
}

// Obj maps keys to the shapes of their values. Every key must be there unless its name ends with "?", which is not part of it.
type Obj map[string]Shape

// Shape is the object as a Shape.
func (o Obj) Shape() Shape { return o.check }

// With is o and more together; more wins.
func (o Obj) With(more Obj) Obj {
	out := make(Obj, len(o)+len(more))
	for k, s := range o {
		out[k] = s
	}
	for k, s := range more {
		out[k] = s
	}
	return out
}

// Without is o less some keys.
func (o Obj) Without(keys ...string) Obj {
	out := o.With(nil)
	for _, k := range keys {
		delete(out, k)
	}
	return out
}

func (o Obj) check(path string, v any, tell func(string)) {
	m, ok := v.(map[string]any)
	if !ok {
		tell(fmt.Sprintf("%s: got %s, want an object", path, short(v)))
		return
	}
	keys := make([]string, 0, len(o))
	for k := range o {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		name, optional := k, false
		if k[len(k)-1] == '?' {
			name, optional = k[:len(k)-1], true
		}
		e, there := m[name]
		switch {
		case there:
			o[k](path+"."+name, e, tell)
		case !optional:
			tell(fmt.Sprintf("%s: no key %q", path, name))
		}
	}
}

// All is every one of the shapes at once.
func All(shapes ...Shape) Shape {
	return func(path string, v any, tell func(string)) {
		for _, s := range shapes {
			s(path, v, tell)
		}
	}
}

// Absent wants keys not to be there.
func Absent(keys ...string) Shape {
	return func(path string, v any, tell func(string)) {
		m, _ := v.(map[string]any)
		for _, k := range keys {
			if e, ok := m[k]; ok {
				tell(fmt.Sprintf("%s: key %q is there: %s", path, k, short(e)))
			}
		}
	}
}
