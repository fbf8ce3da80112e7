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
	paced = promauto.NewCounter(prometheus.CounterOpts{Name: "starling_edge_paced_accepts_total",
		Help: "Pauses in accepting connections: while too many are open that say nothing, or more come than the edge's rate."})
	inLobby = promauto.NewGauge(prometheus.GaugeOpts{Name: "starling_edge_lobby_connections",
		Help: "Connections that wait for their turn to be served, since more come than the edge's rate."})
	refused = promauto.NewCounterVec(prometheus.CounterOpts{Name: "starling_edge_refused_total",
		Help: "Sockets and upgrades refused before they became connections."}, []string{"reason"})
)

func init() { // so that rules see what has not happened yet
	for _, compress := range []string{"none", "zlib-stream", "zstd-stream"} {
		connections.WithLabelValues(compress)
	}
	for _, reason := range []string{"origin", "full", "handshake", "crowd", "silent"} {
		refused.WithLabelValues(reason)
	}
}
