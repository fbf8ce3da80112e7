package auth

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

var (
	hashesWaiting = promauto.NewGauge(prometheus.GaugeOpts{Name: "starling_auth_hashes_waiting",
		Help: "Password hashes that wait for their turn."})
	hashesRefused = promauto.NewCounter(prometheus.CounterOpts{Name: "starling_auth_hashes_refused_total",
		Help: "Password hashes refused since too many waited: whoever logged in was told 503."})
)
