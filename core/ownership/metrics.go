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
	movesTotal = promauto.NewCounterVec(prometheus.CounterOpts{Name: "starling_ownership_moves_total",
		Help: "Buckets handed to another core, by outcome: done, failed (tried again)."}, []string{"outcome"})
	movingGauge  = promauto.NewGauge(prometheus.GaugeOpts{Name: "starling_ownership_moving", Help: "Buckets that are on their way to another core."})
	pinnedGauge  = promauto.NewGauge(prometheus.GaugeOpts{Name: "starling_ownership_pinned", Help: "Buckets that an operator put on this core."})
	drainedGauge = promauto.NewGauge(prometheus.GaugeOpts{Name: "starling_ownership_drained", Help: "1 while an operator keeps this core from owning buckets."})
	moveSeconds  = promauto.NewHistogram(prometheus.HistogramOpts{Name: "starling_ownership_move_seconds",
		Help: "Time of one handing over, reading ahead included.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)})
)

func init() {
	for _, outcome := range []string{"done", "failed"} {
		movesTotal.WithLabelValues(outcome) // so that rules see it before it happens
	}
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
