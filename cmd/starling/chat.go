package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/starling-chat/starling/cmd/starling/internal/chat"
)

// chatCommand is for people: its keys are plain flags, and it needs no configuration file.
func chatCommand(*app) *cobra.Command {
	var cfg chat.Config
	var ca string
	c := &cobra.Command{
		Use:   "chat",
		Short: "Chat in the terminal",
		Long: `chat logs in to a mesh, or makes an account there, and is a chat client: guilds and channels with what is unread, history, live
messages, replies. /help inside lists commands and keys. The login is kept in $XDG_CONFIG_HOME/starling/chat.json, readable by you alone,
so the next start goes straight in; /logout forgets it.`,
		Example: `  # the mesh of starling dev
  starling chat --url http://127.0.0.1:8080

  # over TLS, as somebody else
  starling chat --url https://127.0.0.1:8443 --ca .data/tls/ca.pem --user bob`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if ca != "" {
				text, err := os.ReadFile(ca)
				if err != nil {
					return fmt.Errorf("chat: %w", err)
				}
				roots := x509.NewCertPool()
				if !roots.AppendCertsFromPEM(text) {
					return fmt.Errorf("chat: %s holds no certificate", ca)
				}
				cfg.TLS = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}
			}
			cfg.Env = os.Environ()
			if err := chat.Run(cmd.Context(), cfg); err != nil {
				return fmt.Errorf("chat: %w", err)
			}
			return nil
		},
	}
	c.Flags().StringVar(&cfg.URL, "url", "", "an edge, or the public address (default: the last one used)")
	c.Flags().StringVar(&cfg.User, "user", "", "account (default: the last one used there)")
	c.Flags().StringVar(&ca, "ca", "", "PEM certificate to trust with https, such as .data/tls/ca.pem")
	return c
}
