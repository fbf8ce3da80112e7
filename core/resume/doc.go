// Package resume decides where a session goes on that RESUMEs: which edge had it, where its client stands, and who may have it next
// (resume.md, rules 6 to 12). It is plain code over small interfaces: it knows no NATS and no store, replays nothing, and sends no frame: edges do.
package resume
