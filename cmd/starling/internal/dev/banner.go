package dev

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/starling-chat/starling/cmd/starling/internal/devca"
)

// banner says where to connect and how to make the first account and bot.
func banner(w io.Writer, cfg *Config, p *plan, files devca.Files, took time.Duration) {
	fmt.Fprintf(w, "Starling serves after %.1f s, data in %s. ctrl-C drains and stops.\n\n", took.Seconds(), cfg.Data)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if p.vip != "" {
		fmt.Fprintf(t, "  vip\thttp://%s\tto live edges\n", p.vip)
	}
	for _, r := range p.edges {
		tls := "-"
		if r.TLS != "" {
			tls = "https://" + r.TLS
		}
		fmt.Fprintf(t, "  %s\thttp://%s\t%s\tadmin http://%s\n", r.Name, r.HTTP, tls, r.Admin)
	}
	for _, r := range slices.Concat(p.cores, p.hubs, p.leaves) {
		nats := "-"
		if r.NATS != "" {
			nats = "nats://" + r.NATS
		}
		fmt.Fprintf(t, "  %s\t%s\t\tadmin http://%s\n", r.Name, nats, r.Admin)
	}
	t.Flush()

	base := "http://" + p.edges[0].HTTP
	switch {
	case cfg.PublicURL != "":
		base = cfg.PublicURL
	case p.vip != "":
		base = "http://" + p.vip
	}
	fmt.Fprintf(w, "\nREST is at %s/api/v10, the gateway at ws%s/gateway.\n", base, strings.TrimPrefix(base, "http"))
	if p.edges[0].TLS != "" {
		fmt.Fprintf(w, "TLS is signed by %s: curl --cacert %s https://%s/api/v10/gateway\n", files.CA, files.CA, p.edges[0].TLS)
	}
	if cfg.Processes {
		fmt.Fprintf(w, "Processes are listed in %s; kill any of them%s.\n", cfg.path("mesh.json"),
			map[bool]string{true: ", it is started again", false: ""}[cfg.Restart])
	}
	fmt.Fprintf(w, "\nA first account, guild, bot and message: paste this into a shell.\n\n%s\n", firstSteps(base))
}

// firstSteps are commands for any POSIX shell with curl; pasted again they log in and make another guild and bot.
func firstSteps(base string) string {
	return strings.ReplaceAll(`API=BASE/api/v10; JSON='Content-Type: application/json'
field() { grep -o "\"$1\":\"[^\"]*\"" | head -n 1 | cut -d '"' -f 4; }
ME='{"username":"alice","login":"alice","password":"correct horse battery"}'
TOKEN=$(for way in register login; do curl -s $API/auth/$way -H "$JSON" -d "$ME"; done | field token)
GUILD=$(curl -s $API/guilds -H "Authorization: $TOKEN" -H "$JSON" -d '{"name":"Tea room"}' | field id)
CHANNEL=$(curl -s $API/guilds/$GUILD/channels -H "Authorization: $TOKEN" -H "$JSON" -d '{"name":"tea"}' | field id)
APP=$(curl -s $API/applications -H "Authorization: $TOKEN" -H "$JSON" -d '{"name":"Parrot"}')
BOT=$(echo "$APP" | field id); BOT_TOKEN=$(echo "$APP" | field token)
curl -s -X PUT $API/guilds/$GUILD/members/$BOT -H "Authorization: $TOKEN" -H "$JSON" -d '{}'; echo
curl -s $API/channels/$CHANNEL/messages -H "Authorization: Bot $BOT_TOKEN" -H "$JSON" -d '{"content":"hello"}'; echo
curl -s $API/channels/$CHANNEL/messages -H "Authorization: $TOKEN"; echo
echo "bot token: $BOT_TOKEN"
`, "BASE", base)
}
