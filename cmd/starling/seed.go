package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/starling-chat/starling/cmd/starling/internal/config"
	"github.com/starling-chat/starling/cmd/starling/internal/seed"
)

func seedCommand(a *app) *cobra.Command {
	keys := config.New("seed",
		config.Key{Name: "url", Default: "http://127.0.0.1:8080", Kind: "URL", Usage: "an edge, or the public address"},
		config.Key{Name: "ca", Default: "", Kind: "FILE", Usage: "PEM certificate to trust with https, such as .data/tls/ca.pem"},
		config.Key{Name: "users", Default: "10", Kind: "N", Usage: "people who join by invite, beside the owner"},
		config.Key{Name: "bots", Default: "1", Kind: "N", Usage: "bots of the owner"},
		config.Key{Name: "channels", Default: "1", Kind: "N", Usage: "text channels made in the guild"},
		config.Key{Name: "guild", Default: "Seed", Kind: "NAME", Usage: "name of the guild"},
		config.Key{Name: "sessions-per-user", Default: "1", Kind: "N", Usage: "logins of each user"})
	return a.command(&cobra.Command{
		Short: "Make an owner, a guild, channels, users and bots over the public API",
		Long: `seed makes accounts as anybody could, by the public API alone, waits where it is rate-limited, shows its progress on stderr, and
prints one JSON object on stdout with every id and token. Names are new each time, so it can be run again.`,
		Example: `  starling seed --users 100 --bots 2 --channels 3 > town.json

  # the token of the first bot, for a client library
  jq -r '.bots[0].token' town.json

  # over TLS
  starling seed --url https://127.0.0.1:8443 --ca .data/tls/ca.pem --users 5`,
	}, keys, func(ctx context.Context, v *config.Values) error {
		v.Need("url")
		cfg := seed.Config{URL: v.URL("url", "http", "https"), Users: v.Int("users", 0, 100_000), Bots: v.Int("bots", 0, 1000),
			Channels: v.Int("channels", 1, 500), Guild: v.Need("guild"), SessionsPerUser: v.Int("sessions-per-user", 1, 100),
			HTTP: seedClient(v)}
		if err := v.Err(); err != nil {
			return err
		}
		step, done := seed.Progress(a.stderr, cfg.Steps(), "seeding")
		cfg.Step = step
		result, err := seed.Run(ctx, cfg)
		done()
		if err != nil {
			return err
		}
		return json.NewEncoder(a.stdout).Encode(result)
	})
}

func seedClient(v *config.Values) *http.Client {
	t := &http.Transport{MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Second}
	if path := v.String("ca"); path != "" {
		text, err := os.ReadFile(path)
		roots := x509.NewCertPool()
		switch {
		case err != nil:
			v.Wrong("ca", "%w", err)
		case !roots.AppendCertsFromPEM(text):
			v.Wrong("ca", "%s holds no certificate", path)
		}
		t.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}
	}
	return &http.Client{Transport: t, Timeout: 30 * time.Second}
}
