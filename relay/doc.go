// Package relay is all that moves events between cores and edges: the embedded NATS servers (hub with JetStream, leaf without), the
// subjects, the event log that is the truth of each bucket, its reader behind a leaf with gap repair, and request and reply. It alone
// imports NATS. It is not the domain: it neither knows what an event means nor who may see it.
package relay
