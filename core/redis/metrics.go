package redis

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

var (
	away = promauto.NewGauge(prometheus.GaugeOpts{Name: "starling_redis_away",
		Help: "Redis nodes that do not answer; calls to them fail at once."})
	failures = promauto.NewCounter(prometheus.CounterOpts{Name: "starling_redis_failures_total",
		Help: "Calls that Redis did not answer in time or at all; those that were not tried are not counted."})
	fallbacks = promauto.NewCounter(prometheus.CounterOpts{Name: "starling_redis_limits_in_process_total",
		Help: "Requests that were counted per process because Redis did not answer."})
	healed = promauto.NewCounter(prometheus.CounterOpts{Name: "starling_redis_presence_healed_total",
		Help: "Refreshed reports of presence that Redis had lost."})
)
