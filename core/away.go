package core

import (
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"syscall"
)

// ErrAway says of a store that it cannot be reached, or says that it cannot answer now: the same may succeed later.
var ErrAway = errors.New("store away")

// Away tells whether an error of a store is of that kind: it is marked with ErrAway, the network's, or an SQL server's word for it.
func Away(err error) bool {
	if err == nil {
		return false
	}
	for _, known := range []error{ErrAway, driver.ErrBadConn, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.ECONNREFUSED,
		syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, known) {
			return true
		}
	}
	var network *net.OpError
	if errors.As(err, &network) {
		return true
	}
	var answer interface{ SQLState() string }
	if !errors.As(err, &answer) || len(answer.SQLState()) != 5 {
		return false
	}
	switch state := answer.SQLState(); state[:2] {
	case "08", "53", "57", "58": // connection; resources; an operator's or the server's own stop, time-outs; the system below
		return true
	default:
		// Too long for a lock; a server that may only be read, as a standby; undone for others' sake, again and again.
		return state == "55P03" || state == "25006" || state[:2] == "40"
	}
}
