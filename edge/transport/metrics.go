package transport

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics of all transports of the process.
var (
	connections = promauto.NewGaugeVec(prometheus.GaugeOpts{Name: "starling_edge_connections",
		Help: "Open gateway connections."}, []string{"compress"})
	slowCloses = promauto.NewCounter(prometheus.CounterOpts{Name: "starling_edge_slow_closes_total",
		Help: "Connections closed because more waited for them than the limit."})
	queuedBytes = promauto.NewGauge(prometheus.GaugeOpts{Name: "starling_edge_queued_bytes",
		Help: "Bytes queued for clients and not yet taken by their sockets."})
	refused = promauto.NewCounterVec(prometheus.CounterOpts{Name: "starling_edge_refused_total",
		Help: "Upgrades refused before they became connections."}, []string{"reason"})
)
