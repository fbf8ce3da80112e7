package operator

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/starling-chat/starling/core/bucket"
	"github.com/starling-chat/starling/core/console"
	"github.com/starling-chat/starling/core/ownership"
	"github.com/starling-chat/starling/relay"
)

// hub-1 leads and knows who lags, hub-2 does not; hub-3 tells nothing, whatever hub-1 still believes of it.
func TestStreamsAreToldByTheirLeader(t *testing.T) {
	stream := func(lag uint64) relay.StreamInfo {
		return relay.StreamInfo{Name: "EV_local_0", Leader: "hub-1", Replicas: []relay.ReplicaInfo{{Hub: "hub-2", Current: lag == 0, Lag: lag}, {Hub: "hub-3", Current: true}}}
	}
	roles := []Role[relay.HubInfo]{
		{Name: "hub-2", State: "serves", Info: &relay.HubInfo{Name: "hub-2", Streams: []relay.StreamInfo{stream(0)}}},
		{Name: "hub-1", State: "serves", Info: &relay.HubInfo{Name: "hub-1", Streams: []relay.StreamInfo{stream(12)}}},
		{Name: "hub-3", State: "silent"},
	}
	got := leaderStreams(roles)
	if len(got) != 1 || got[0].Replicas[0].Lag != 12 {
		t.Fatalf("got %+v, want what hub-1 tells", got)
	}
	for want, text := range map[string]string{
		"hub-2 lacks 12, hub-3 silent": replicas(got[0].Replicas, map[string]string{"hub-3": "silent"}),
		"hub-4 away, lacks 7":          replicas([]relay.ReplicaInfo{{Hub: "hub-4", Offline: true, Lag: 7}}, nil),
		"hub-2, hub-3":                 replicas(stream(0).Replicas, nil),
		"-":                            replicas(nil, nil),
	} {
		if text != want {
			t.Errorf("got %q, want %q", text, want)
		}
	}
}

func TestStates(t *testing.T) {
	core := func(hub string, part ownership.Status, phases map[string]int) *console.Core {
		return &console.Core{Hub: hub, Part: part, Buckets: bucket.Sum{Phases: phases}}
	}
	for want, c := range map[string]*console.Core{
		"serves ":     core("hub-1", ownership.Status{Owned: 3}, nil),
		"takes over ": core("hub-1", ownership.Status{Owned: 3}, map[string]int{"taking": 1}),
		"serves 1 bucket was lost to another owner":        core("hub-1", ownership.Status{Owned: 3}, map[string]int{"lost": 1}),
		"cut off no connection to a hub":                   core("", ownership.Status{Drained: true}, nil),
		"drains ":                                          core("hub-1", ownership.Status{Drained: true, Owned: 3, Cores: []string{"core-2"}}, nil),
		"drains there is no other core: it serves as long": core("hub-1", ownership.Status{Drained: true, Owned: 3}, nil),
		"drained ": core("hub-1", ownership.Status{Drained: true}, nil),
		"stops ":   core("hub-1", ownership.Status{Leaving: true, Drained: true}, nil),
	} {
		if state, why := coreState(c); state+" "+why != want {
			t.Errorf("got %q, want %q", state+" "+why, want)
		}
	}
	soon, past, far := time.Now().Add(time.Hour), time.Now().Add(-time.Hour), time.Now().AddDate(1, 0, 0)
	for want, i := range map[string]relay.HubInfo{
		"not ready sees 1 of 3 hubs, needs 2":                                   {Ready: "sees 1 of 3 hubs, needs 2", Hubs: 3, Sees: 1},
		"serves sees 2 of 3 hubs":                                               {Hubs: 3, Sees: 2},
		"serves its certificate expires on " + soon.UTC().Format(time.DateOnly): {Server: relay.Server{Certificate: &soon}},
		"serves its certificate has expired: nobody new can connect":            {Server: relay.Server{Certificate: &past}},
		"serves ": {Server: relay.Server{Certificate: &far}},
	} {
		if state, why := hubKind.state(&i); state+" "+why != want {
			t.Errorf("got %q, want %q", state+" "+why, want)
		}
	}
	for want, i := range map[string]relay.LeafInfo{
		"cut off no link to a hub":                    {},
		"hears nothing its hub sends no beat for 9 s": {Heard: 9, Server: relay.Server{Links: []relay.Link{{Name: "hub-1"}}}},
		"serves ": {Heard: 1, Server: relay.Server{Links: []relay.Link{{Name: "hub-1"}}}},
	} {
		if state, why := leafKind.state(&i); state+" "+why != want {
			t.Errorf("got %q, want %q", state+" "+why, want)
		}
	}
}

func TestProgressIsALineASecondElsewhere(t *testing.T) {
	var out bytes.Buffer
	tell := (&Desk{cfg: Config{Err: &out}}).progress()
	for range 3 {
		tell("core-1 has 5 buckets")
		tell("core-1 has 4 buckets")
	}
	if tell("\n"); strings.Count(out.String(), "\n") != 1 || !strings.HasPrefix(out.String(), "core-1 has 5") {
		t.Errorf("got %q, want one line within a second", out.String())
	}
}
