// Package sim simulates NATS for the log's code: connections, streams with replicas, republishing, and all that may go wrong with them. What
// runs on it is the real relay (Reader, Log, Writer), inside a testing/synctest bubble, whose clock is fake. Every message between a
// connection and the hubs is a flight. When nothing can go on by itself, whoever drives the World picks by a seeded generator which flight lands or
// is lost, or that time passes: a seed gives the same run each time. It is no NATS server, and knows of JetStream only what the log uses.
package sim
