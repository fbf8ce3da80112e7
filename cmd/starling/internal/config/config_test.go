package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/starling-chat/starling/cmd/starling/internal/config"
)

func keys() (*config.Keys, []*config.Keys) {
	shop := config.New("shop",
		config.Key{Name: "http", Default: "127.0.0.1:80", Kind: "ADDR", Usage: "where to listen"},
		config.Key{Name: "queue-len", Default: "10", Kind: "N", Usage: "how many may wait"},
		config.Key{Name: "open", Default: "off", Kind: config.Bool, Usage: "whether it is open"},
		config.Key{Name: "nap", Default: "1s", Kind: "DURATION", Usage: "how long to rest"},
		config.Key{Name: "hubs", Default: "", Kind: "URL", Usage: "whom to call"})
	bank := config.New("bank", config.Key{Name: "vault", Default: "", Kind: "DIR", Usage: "where it is"})
	return shop, []*config.Keys{shop, bank}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "starling.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPrecedence(t *testing.T) {
	shop, all := keys()
	path := write(t, "shop:\n  http: 127.0.0.1:1\n  queue-len: 11\n  nap: 2s\n  open: true\n  hubs: [nats://a:1, nats://b:2]\nbank:\n  vault: /x\n")
	env := map[string]string{"STARLING_SHOP_QUEUE_LEN": "12", "STARLING_SHOP_NAP": "3s"}
	if err := shop.Flags().Parse([]string{"--nap", "4s"}); err != nil {
		t.Fatal(err)
	}
	v := config.Load(shop, all, path, func(k string) string { return env[k] })

	if got := v.Loopback("http", ""); got != "127.0.0.1:1" {
		t.Errorf("http: got %s, want the file's 127.0.0.1:1", got)
	}
	if got := v.Int("queue-len", 0, 99); got != 12 {
		t.Errorf("queue-len: got %d, want the environment's 12", got)
	}
	if got := v.Duration("nap", 0, time.Minute); got != 4*time.Second {
		t.Errorf("nap: got %v, want the flag's 4s", got)
	}
	if !v.Switch("open") {
		t.Error("open: got off, want the file's true")
	}
	if got := strings.Join(v.URLs("hubs", "nats"), " "); got != "nats://a:1 nats://b:2" {
		t.Errorf("hubs: got %q, want both of the file's list", got)
	}
	if err := v.Err(); err != nil {
		t.Error(err)
	}
}

func TestDefaultsAlone(t *testing.T) {
	shop, all := keys()
	v := config.Load(shop, all, "", func(string) string { return "" })
	if got := v.Int("queue-len", 0, 99); got != 10 || v.Switch("open") || v.Err() != nil {
		t.Errorf("got queue-len %d, open %v, err %v, want 10, off, none", got, v.Switch("open"), v.Err())
	}
}

func TestAllMistakesAtOnceEachWithItsKey(t *testing.T) {
	shop, all := keys()
	path := write(t, "shop:\n  htpp: 127.0.0.1:1\n  open: perhaps\ntavern:\n  beer: 1\n")
	env := map[string]string{"STARLING_SHOP_QUEUE_LEN": "many"}
	if err := shop.Flags().Parse([]string{"--nap=soon", "--http=0.0.0.0:80", "--hubs=http://x:1/y"}); err != nil {
		t.Fatal(err)
	}
	v := config.Load(shop, all, path, func(k string) string { return env[k] })
	v.Loopback("http", "because")
	v.Int("queue-len", 0, 99)
	v.Duration("nap", 0, time.Minute)
	v.Switch("open")
	v.URLs("hubs", "nats")
	err := v.Err()
	if err == nil {
		t.Fatal("got no mistake")
	}
	for _, want := range []string{
		"shop.htpp: there is no such key", "tavern.beer: there is no such section", `open (from ` + path + `: shop.open): "perhaps"`,
		`queue-len (from STARLING_SHOP_QUEUE_LEN): "many"`, `nap (from --nap): "soon"`, `http (from --http): "0.0.0.0:80"`, "hubs (from --hubs)",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the mistakes do not name %q:\n%v", want, err)
		}
	}
}

func TestFileThatIsNotThereIsAMistake(t *testing.T) {
	shop, all := keys()
	v := config.Load(shop, all, filepath.Join(t.TempDir(), "none.yaml"), func(string) string { return "" })
	if err := v.Err(); err == nil || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("got %v, want the file's name", err)
	}
}

func TestNeedNamesAllWays(t *testing.T) {
	shop, all := keys()
	v := config.Load(shop, all, "", func(string) string { return "" })
	v.Need("hubs")
	if err := v.Err(); err == nil || !strings.Contains(err.Error(), "--hubs, STARLING_SHOP_HUBS") {
		t.Errorf("got %v, want the flag and the variable named", err)
	}
}
