// Package cql keeps the history of messages on a CQL cluster.
package cql

import _ "github.com/gocql/gocql"
