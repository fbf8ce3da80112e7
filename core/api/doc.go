// Package api is HTTP in front of the core: decode, authorise, call, encode. Handlers are ordinary http.Handlers; requests reach them from
// the edges over the relay, so this package opens no port. It changes nothing itself: writes go as commands to the owners of buckets
// (core/bucket), which check rights again on their own state; reads come from the stores, with rights from the Directory.
package api
