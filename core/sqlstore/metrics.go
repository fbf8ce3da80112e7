package sqlstore

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

var conflicts = promauto.NewCounter(prometheus.CounterOpts{
	Name: "starling_sqlstore_conflicts_total", Help: "Transactions that the database undid because of others, and that were run again."})
