package core

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
)

type state string

func (s state) Error() string    { return "server says " + string(s) }
func (s state) SQLState() string { return string(s) }

func TestAway(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{ErrNotFound, false},
		{errors.New("stored body: unexpected end of JSON input"), false},
		{fmt.Errorf("guild 7: %w", ErrAway), true},
		{fmt.Errorf("guild 7: %w", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), true},
		{fmt.Errorf("guild 7: %w", io.ErrUnexpectedEOF), true},
		{state("57P01"), true}, // it is being stopped
		{state("57P03"), true}, // it is starting
		{state("53300"), true}, // too many connections
		{state("57014"), true}, // statement_timeout
		{state("55P03"), true},
		{state("40001"), true},
		{state("42P01"), false}, // no such table: a bug
		{state("23505"), false},
		{state(""), false},
	} {
		if got := Away(c.err); got != c.want {
			t.Errorf("Away(%v) = %t, want %t", c.err, got, c.want)
		}
	}
}
