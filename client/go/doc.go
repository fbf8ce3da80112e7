// Package client speaks Starling's public wire: REST under /api/v10 and the gateway over WebSocket, with what every client has to get
// right: heartbeats, resume, reconnect with jitter, rate limits, tokens that are refreshed before they end. It keeps no cache of guilds or
// messages and knows no user interface; what arrives is handed on as it came, bounded in size. It is for people's accounts (register, log
// in); with a bot's token the same calls work. The client of the tests that checks every byte is another, loadtest/client.
package client
