package cql

import (
	"errors"
	"fmt"

	"github.com/gocql/gocql"

	"github.com/starling-chat/starling/core"
)

// The driver's words for a cluster that cannot be reached, beside the network's.
var awayErrors = []error{gocql.ErrNoConnections, gocql.ErrNoConnectionsInPool, gocql.ErrNoConnectionsStarted, gocql.ErrConnectionClosed,
	gocql.ErrTimeoutNoResponse, gocql.ErrTooManyTimeouts, gocql.ErrNoStreams, gocql.ErrHostDown, gocql.ErrNoPool, gocql.ErrNoHosts,
	gocql.ErrHostQueryFailed, gocql.ErrSessionClosed, gocql.ErrSessionNotReady, gocql.ErrUnavailable}

// mark adds core.ErrAway to errors that say nothing against what was asked.
func mark(err error) error {
	if err == nil || errors.Is(err, core.ErrAway) {
		return err
	}
	for _, away := range awayErrors {
		if errors.Is(err, away) {
			return fmt.Errorf("%w: %w", core.ErrAway, err)
		}
	}
	var answer gocql.RequestError
	if !errors.As(err, &answer) {
		return err
	}
	switch answer.Code() {
	case gocql.ErrCodeServer, gocql.ErrCodeUnavailable, gocql.ErrCodeOverloaded, gocql.ErrCodeBootstrapping, gocql.ErrCodeTruncate,
		gocql.ErrCodeReadTimeout, gocql.ErrCodeReadFailure, gocql.ErrCodeWriteTimeout, gocql.ErrCodeWriteFailure:
		return fmt.Errorf("%w: %w", core.ErrAway, err)
	}
	return err
}
