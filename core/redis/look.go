package redis

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/starling-chat/starling/core"
	"github.com/starling-chat/starling/proto"
)

// A report stands in Redis as "RANK STATUS LAST_ACTIVE DEVICES ACTIVITIES": what comes first is for the script, which finds the status of
// several reports by it. Devices are "desktop:idle,web:online", "-" if there are none; activities are as they were reported.

// ranks of statuses: how many lose against one where a user's edges differ.
var ranks = func() map[proto.Status]int {
	all := []proto.Status{proto.StatusOnline, proto.StatusIdle, proto.StatusDND}
	ranks := map[proto.Status]int{proto.StatusInvisible: 1}
	report := func(s proto.Status) core.PresenceReport {
		return core.PresenceReport{Presence: core.Presence{Status: s}}
	}
	for _, s := range all {
		for _, other := range all {
			if core.MergePresence(0, []core.PresenceReport{report(s), report(other)}).Status == s {
				ranks[s]++ // against itself, too: the least is above invisible
			}
		}
		ranks[s]++
	}
	return ranks
}()

func encode(p core.Presence) string {
	var millis int64
	if !p.LastActive.IsZero() {
		millis = max(p.LastActive.UnixMilli(), 0)
	}
	status := p.Status
	if ranks[status] == 0 {
		status = proto.StatusOffline
	}
	b := make([]byte, 0, 64+len(p.Activities))
	b = strconv.AppendInt(b, int64(ranks[status]), 10)
	b = append(append(append(b, ' '), status...), ' ')
	b = append(strconv.AppendInt(b, millis, 10), ' ')
	b = append(appendDevices(b, p.Devices), ' ')
	return string(append(b, p.Activities...))
}

func appendDevices(b []byte, devices map[string]proto.Status) []byte {
	names := make([]string, 0, 3)
	for name := range devices {
		if name != "" && !strings.ContainsAny(name+string(devices[name]), " ,:") {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return append(b, '-')
	}
	slices.Sort(names)
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, name...), ':'), devices[name]...)
	}
	return b
}

func decode(user proto.ID, value string) (core.PresenceReport, error) {
	r := core.PresenceReport{Presence: core.Presence{User: user}}
	parts := strings.SplitN(value, " ", 5)
	if len(parts) != 5 {
		return r, fmt.Errorf("user %d: %.40q is no report", user, value)
	}
	r.Status = proto.Status(parts[1])
	millis, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return r, fmt.Errorf("user %d: report: %w", user, err)
	}
	if millis > 0 {
		r.LastActive = time.UnixMilli(millis)
	}
	if parts[3] != "-" {
		r.Devices = make(map[string]proto.Status, 3)
		for device := range strings.SplitSeq(parts[3], ",") {
			name, status, _ := strings.Cut(device, ":")
			r.Devices[name] = proto.Status(status)
		}
	}
	if parts[4] != "" {
		r.Activities = []byte(parts[4])
	}
	return r, nil
}
