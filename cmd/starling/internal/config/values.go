package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/knadh/koanf/v2"
)

// Values are the merged values of a role's keys. Each getter checks what it gives and notes a mistake, giving the zero value then.
type Values struct {
	keys *Keys
	k    *koanf.Koanf
	from map[string]string // key → where its value came from, if it is not the default
	errs []error
}

// Err is every mistake found so far, nil if there is none.
func (v *Values) Err() error { return errors.Join(v.errs...) }

// Wrong notes a mistake in a key that the getters cannot see, such as two keys that do not go together.
func (v *Values) Wrong(name, format string, args ...any) {
	where := name
	if from := v.from[name]; from != "" {
		where = fmt.Sprintf("%s (from %s)", name, from)
	}
	v.errs = append(v.errs, fmt.Errorf(where+": "+format, args...))
}

func (v *Values) mistake(format string, args ...any) {
	v.errs = append(v.errs, fmt.Errorf(format, args...))
}

// String gives the value as it is.
func (v *Values) String(name string) string {
	if !v.keys.has(name) {
		panic("config: key " + name + " of " + v.keys.role + " was never registered")
	}
	return v.k.String(name)
}

// Need gives a value that must not be empty.
func (v *Values) Need(name string) string {
	s := v.String(name)
	if s == "" {
		v.Wrong(name, "must be set, by --%s, %s or the file", name, v.keys.env(name))
	}
	return s
}

// List splits a value at commas; none of an empty value.
func (v *Values) List(name string) []string {
	var list []string
	for s := range strings.SplitSeq(v.String(name), ",") {
		if s = strings.TrimSpace(s); s != "" {
			list = append(list, s)
		}
	}
	return list
}

// Int gives a number from low to high.
func (v *Values) Int(name string, low, high int) int {
	n, err := strconv.Atoi(v.String(name))
	if err != nil || n < low || n > high {
		v.Wrong(name, "%q: want a number from %d to %d", v.String(name), low, high)
		return 0
	}
	return n
}

// Switch gives a yes or no: on, off, true, false, yes, no, 1, 0.
func (v *Values) Switch(name string) bool {
	switch strings.ToLower(v.String(name)) {
	case "on", "true", "yes", "1":
		return true
	case "off", "false", "no", "0":
		return false
	}
	v.Wrong(name, "%q: want on or off", v.String(name))
	return false
}

// Duration gives a time from low to high.
func (v *Values) Duration(name string, low, high time.Duration) time.Duration {
	d, err := time.ParseDuration(v.String(name))
	if err != nil || d < low || d > high {
		v.Wrong(name, "%q: want a duration from %v to %v, such as 500ms, 10s or 24h", v.String(name), low, high)
		return 0
	}
	return d
}

// Addr gives host:port, or "" if the value is empty.
func (v *Values) Addr(name string) string {
	s := v.String(name)
	if s == "" {
		return ""
	}
	if _, _, err := splitAddr(s); err != nil {
		v.Wrong(name, "%q: want host:port: %w", s, err)
		return ""
	}
	return s
}

// Loopback is Addr for what must not be reachable from outside, and says why.
func (v *Values) Loopback(name, why string) string {
	s := v.Addr(name)
	if s == "" {
		return ""
	}
	host, _, _ := splitAddr(s)
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		v.Wrong(name, "%q: want a loopback address such as 127.0.0.1: %s", s, why)
		return ""
	}
	return s
}

// URL gives an absolute URL of one of the schemes without path, query or fragment, or "" if the value is empty.
func (v *Values) URL(name string, schemes ...string) string {
	s := v.String(name)
	if s == "" {
		return ""
	}
	if err := checkURL(s, schemes); err != nil {
		v.Wrong(name, "%q: %w", s, err)
		return ""
	}
	return strings.TrimSuffix(s, "/")
}

// URLs is URL for a list split at commas.
func (v *Values) URLs(name string, schemes ...string) []string {
	list := v.List(name)
	for _, s := range list {
		if err := checkURL(s, schemes); err != nil {
			v.Wrong(name, "%q: %w", s, err)
		}
	}
	return list
}

func checkURL(s string, schemes []string) error {
	u, err := url.Parse(s)
	if err != nil {
		return fmt.Errorf("want a URL: %w", err)
	}
	for _, scheme := range schemes {
		if u.Scheme == scheme && u.Host != "" && strings.Trim(u.Path, "/") == "" && u.RawQuery == "" && u.Fragment == "" {
			return nil
		}
	}
	return fmt.Errorf("want %s://host:port and nothing after it", strings.Join(schemes, ":// or "))
}

// splitAddr is net.SplitHostPort with the port as a number.
func splitAddr(s string) (string, int, error) {
	host, p, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, err
	}
	port, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("port %q is not a number from 0 to 65535", p)
	}
	return host, int(port), nil
}
