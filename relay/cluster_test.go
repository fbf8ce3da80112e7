package relay_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/starling-chat/starling/proto/pb"
	"github.com/starling-chat/starling/relay"
	"github.com/starling-chat/starling/relay/relaytest"
)

// A pump appends numbers to a bucket as fast as the log takes them, until it is stopped.
type pump struct {
	writer  *relay.Writer
	said    atomic.Int64
	stall   time.Duration // longest append; read after stop
	quit    chan struct{}
	stopped sync.WaitGroup
}

func startPump(t testing.TB, l *relay.Log, bucket int) *pump {
	t.Helper()
	p := &pump{writer: takeOver(t, l, bucket), quit: make(chan struct{})}
	p.stopped.Go(func() {
		for {
			select {
			case <-p.quit:
				return
			default:
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			start := time.Now()
			_, _, err := p.writer.Append(ctx, says(fmt.Sprint(p.said.Load())), 0)
			cancel()
			if err != nil {
				t.Error(err)
				return
			}
			p.said.Add(1)
			p.stall = max(p.stall, time.Since(start))
		}
	})
	t.Cleanup(func() { p.stop() })
	return p
}

// stop ends the pump and tells how many texts the log has acknowledged.
func (p *pump) stop() int {
	select {
	case <-p.quit:
	default:
		close(p.quit)
	}
	p.stopped.Wait()
	return int(p.said.Load())
}

// more waits until so many more texts are in the log.
func (p *pump) more(t testing.TB, n int64) {
	t.Helper()
	want := p.said.Load() + n
	relaytest.Until(t, "appends go on", func() bool { return p.said.Load() >= want })
}

// The leader of the stream gives way 20 times while Alice writes. What a dying leader had committed is not republished: Bob, behind a leaf,
// must find it by himself.
func TestLeaderStepsDownUnderLoad(t *testing.T) {
	t.Parallel()
	c := relaytest.StartCluster(t, 1)
	core := c.CoreBus(t)
	log := openLog(t, core)
	bob := listen(t, c.EdgeBus(t, 0))
	bob.follows(t, 3)
	alice := startPump(t, log, 3)
	digests(t, log, map[int]*relay.Writer{3: alice.writer})
	before := counted(t, "starling_relay_repaired_entries_total")
	leaders := map[string]bool{}
	for done := 0; done < 20; {
		if leader := relaytest.StepDown(t, core); leader != "" {
			leaders[leader] = true
			done++
		}
		alice.more(t, 20)
	}
	said := alice.stop()
	bob.hears(t, 3, said)
	if got := logged(t, log, 3); len(got) != said {
		t.Errorf("log: got %d texts, want %d", len(got), said)
	}
	if len(leaders) < 2 {
		t.Errorf("only %v led", leaders)
	}
	t.Logf("%d entries, longest append %s, %v entries read from the log", said, alice.stall,
		counted(t, "starling_relay_repaired_entries_total")-before)
}

// Every hub is stopped in order and started again, one by one, as at an upgrade.
func TestHubsUpgradedOneByOne(t *testing.T) {
	t.Parallel()
	c := relaytest.StartCluster(t, 1)
	core := c.CoreBus(t)
	log := openLog(t, core)
	bob := listen(t, c.EdgeBus(t, 0))
	bob.follows(t, 3)
	alice := startPump(t, log, 3)
	digests(t, log, map[int]*relay.Writer{3: alice.writer})
	for i := range c.Hubs {
		c.StopHub(i)
		alice.more(t, 20) // with two hubs
		c.StartHub(t, i)
		c.Ready(t)
		alice.more(t, 20)
	}
	said := alice.stop()
	bob.hears(t, 3, said)
	if alice.stall > 15*time.Second {
		t.Errorf("an append took %s", alice.stall)
	}
	t.Logf("%d entries, longest append %s", said, alice.stall)
}

// Cores open the log at once, before there is one, and with a part of it lost: all must mean the same.
func TestCoresOpenTheLogAtOnce(t *testing.T) {
	t.Parallel()
	c := relaytest.StartCluster(t, 0)
	const streams = 3
	open := func() uint64 {
		t.Helper()
		var done sync.WaitGroup
		var incs [3]uint64
		for i := range incs {
			bus := c.CoreBus(t)
			done.Go(func() {
				l, err := relay.OpenLog(soon(t), bus, streams)
				if err != nil {
					t.Error(err)
					return
				}
				incs[i] = l.Incarnation()
			})
		}
		done.Wait()
		for _, inc := range incs {
			if inc != incs[0] || inc == 0 {
				t.Fatalf("got incarnations %v", incs)
			}
		}
		return incs[0]
	}
	first := open()
	if again := open(); again != first {
		t.Fatalf("got incarnation %d, want %d again", again, first)
	}
	bus := c.CoreBus(t)
	if _, err := bus.Request(soon(t), "$JS.local.API.STREAM.DELETE.EV_local_2", nil); err != nil {
		t.Fatal(err)
	}
	if anew := open(); anew == first {
		t.Fatal("a stream was lost, and the log has the same incarnation")
	}
	if _, err := relay.OpenLog(soon(t), bus, 2); err == nil {
		t.Fatal("a log of 3 streams opened with 2")
	}
}

// A hub alone among three waits for its peers, serves no log, and sends no beat, so that leaves go elsewhere.
func TestHubWithoutPeersIsNotReady(t *testing.T) {
	t.Parallel()
	cs := relaytest.ClusterConfigs(t)
	h, err := relay.StartHub(cs[0])
	if err != nil {
		t.Fatal(err)
	}
	defer h.Stop()
	if err := h.Ready(); err == nil {
		t.Fatal("ready without a majority")
	}
	core := relaytest.Bus(t, h.ClientURL(), "core")
	var beats atomic.Int32
	stop, err := core.Subscribe(relay.BeatSubject("local"), func(string, []byte) { beats.Add(1) })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), 2500*time.Millisecond)
	defer cancel()
	if _, err := relay.OpenLog(ctx, core, 1); err == nil {
		t.Fatal("opened a log without a majority")
	}
	if n := beats.Load(); n != 0 {
		t.Errorf("%d beats of a hub that reaches nothing: leaves would stay with it", n)
	}
	cs[1].Peers = cs[1].Peers[:1]
	if _, err := relay.StartHub(cs[1]); err == nil {
		t.Fatal("two hubs make no region")
	}
}

// Of three hubs the one that leads is killed, as kill -9 does, then another is frozen, while Alice writes: the other two go on with all that was
// acknowledged. The hubs are this test binary, run once more.
func TestHubKilledAndFrozenUnderAppends(t *testing.T) {
	if runHubFromEnv(t) {
		return
	}
	t.Parallel()
	cs := relaytest.ClusterConfigs(t)
	procs := map[string]*exec.Cmd{}
	for _, cfg := range cs {
		procs[cfg.Name] = hubProcess(t, cfg)
	}
	core := relaytest.Bus(t, relaytest.ClientURL(cs), "core")
	log := openLog(t, core)
	leaf, err := relay.StartLeaf(relay.LeafConfig{Name: "leaf", Region: relaytest.Region, ClientAddr: "127.0.0.1:0", Secret: relaytest.Secret,
		HubURLs: []string{"nats://" + cs[0].LeafAddr, "nats://" + cs[1].LeafAddr, "nats://" + cs[2].LeafAddr}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(leaf.Stop)
	bob := listen(t, relaytest.EdgeBus(t, leaf.ClientURL(), "edge"))
	bob.follows(t, 3)
	alice := startPump(t, log, 3)
	digests(t, log, map[int]*relay.Writer{3: alice.writer})
	alice.more(t, 50)

	lead := func() relay.HubConfig {
		t.Helper()
		var found relay.HubConfig
		relaytest.Until(t, "somebody leads", func() bool {
			name := relaytest.Leader(core)
			for _, cfg := range cs {
				if cfg.Name == name {
					found = cfg
				}
			}
			return found.Name != ""
		})
		return found
	}
	victim := lead()
	_ = procs[victim.Name].Process.Kill()
	_ = procs[victim.Name].Wait()
	began := time.Now()
	alice.more(t, 50)
	t.Logf("the stream's leader was killed: 50 appends after %s", time.Since(began))
	procs[victim.Name] = hubProcess(t, victim)
	alice.more(t, 50)

	victim = lead()
	if err := procs[victim.Name].Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	alice.more(t, 50)
	t.Logf("the stream's leader was frozen: 50 appends after %s", time.Since(began))
	if err := procs[victim.Name].Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	alice.more(t, 50)
	said := alice.stop()
	bob.hears(t, 3, said)
	var got []string
	w, err := log.TakeOver(soon(t), 3, relay.Position{}, time.Time{}, func(_ uint64, e *pb.Entry) error {
		for _, ev := range e.Events {
			got = append(got, string(ev.Body))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != said {
		t.Errorf("log: got %d texts, want %d", len(got), said)
	}
	if alice.stall > 15*time.Second {
		t.Errorf("an append took %s", alice.stall)
	}
	mustAppend(t, w, "on it goes")
	t.Logf("%d entries, longest append %s", said, alice.stall)
}

const envHub = "RELAY_TEST_CLUSTER_HUB"

// runHubFromEnv runs a hub if this process is to be one.
func runHubFromEnv(t *testing.T) bool {
	file := os.Getenv(envHub)
	if file == "" {
		return false
	}
	cfg, err := readHubConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	h, err := relay.StartHub(cfg)
	if err != nil {
		t.Fatal(err)
	}
	<-time.After(5 * time.Minute) // the parent kills us long before
	h.Stop()
	return true
}

func hubProcess(t testing.TB, cfg relay.HubConfig) *exec.Cmd {
	t.Helper()
	file := filepath.Join(cfg.Dir, "hub.json")
	if err := writeHubConfig(file, cfg); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestHubKilledAndFrozenUnderAppends$")
	cmd.Env = append(os.Environ(), envHub+"="+file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

func writeHubConfig(file string, cfg relay.HubConfig) error {
	text, err := json.Marshal(cfg)
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

func readHubConfig(file string) (cfg relay.HubConfig, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return cfg, err
	}
	return cfg, json.Unmarshal(text, &cfg)
}
