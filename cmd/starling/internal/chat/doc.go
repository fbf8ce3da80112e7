// Package chat is `starling chat`, a client for the terminal: guilds and channels with what is unread, history, live messages, writing with
// pending and failed sends. It speaks the public wire by package client and knows nothing of the mesh. All that others wrote goes through
// clean before it enters the model, so that no control character of theirs reaches the terminal. It is one model of Bubble Tea: Update is
// the only writer of all state, and calls, the gateway and timers come back to it as messages.
package chat
