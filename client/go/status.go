package client

import "time"

// A Phase of the gateway connection.
type Phase int

// Phases.
const (
	Connecting Phase = iota // to the server, or waiting for READY
	Online                  // READY or RESUMED came: events flow
	Waiting                 // for the next try
)

// A Status tells how the gateway connection is.
type Status struct {
	Phase   Phase
	Resumed bool      // Online without a hole: nothing has to be loaded anew
	Why     string    // Waiting: what went wrong, for a person
	Until   time.Time // Waiting: when the next try begins
	Try     int       // Waiting: which one that will be, from 1
}

// A Dispatch is an event of the gateway. Data is its d.
type Dispatch struct {
	Type string
	Data []byte
}
