package ownership

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

var (
	membersGauge = promauto.NewGauge(prometheus.GaugeOpts{Name: "starling_ownership_cores", Help: "Cores that are heard, this one included."})
	minesGauge   = promauto.NewGauge(prometheus.GaugeOpts{Name: "starling_ownership_buckets", Help: "Buckets that this core owns."})
	claimsTotal  = promauto.NewCounter(prometheus.CounterOpts{Name: "starling_ownership_claims_total",
		Help: "Buckets claimed that nobody held, or a core that is gone."})
	movesTotal  = promauto.NewCounter(prometheus.CounterOpts{Name: "starling_ownership_moves_total", Help: "Buckets handed to another core."})
	moveSeconds = promauto.NewHistogram(prometheus.HistogramOpts{Name: "starling_ownership_move_seconds",
		Help: "Time of one handing over, reading ahead included.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)})
)
