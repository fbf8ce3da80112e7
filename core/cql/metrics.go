package cql

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

var (
	joinedReads = promauto.NewCounter(prometheus.CounterOpts{Name: "starling_cql_joined_reads_total",
		Help: "Reads that were answered by an equal one."})
	halvedReads = promauto.NewCounter(prometheus.CounterOpts{Name: "starling_cql_halved_reads_total",
		Help: "Reads that passed over too much that was deleted, and were tried again in halves."})
	newSessions = promauto.NewCounter(prometheus.CounterOpts{Name: "starling_cql_sessions_total",
		Help: "Sessions with the cluster that were opened: one at start, one each time the watchdog found the old one dead."})
	applySeconds = promauto.NewHistogram(prometheus.HistogramOpts{Name: "starling_cql_apply_seconds",
		Help: "Time to write the messages and checkpoint of one Apply.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)})
	readSeconds = promauto.NewHistogramVec(prometheus.HistogramOpts{Name: "starling_cql_read_seconds",
		Help: "Time of one read of the history, all its queries included.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)}, []string{"read"})
)

func init() { // so that dashboards find them where no cluster is
	for _, read := range []string{"message", "last"} {
		readSeconds.WithLabelValues(read)
	}
}
