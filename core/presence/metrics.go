package presence

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics of all servers of the process.
var (
	calls = promauto.NewCounterVec(prometheus.CounterOpts{Name: "starling_presence_calls_total",
		Help: "Batches of reports by outcome: ok, bad, busy (too much waits to be announced), away (the store)."}, []string{"outcome"})
	reports = promauto.NewCounterVec(prometheus.CounterOpts{Name: "starling_presence_reports_total",
		Help: "Reports of users by kind: change, refresh, gone, bad."}, []string{"kind"})
	questions = promauto.NewCounterVec(prometheus.CounterOpts{Name: "starling_presence_questions_total",
		Help: "Questions of edges for presences by outcome: ok, bad, away."}, []string{"outcome"})
	changes = promauto.NewCounterVec(prometheus.CounterOpts{Name: "starling_presence_changes_total",
		Help: "Users whose merged presence changed, by what did it: report, lapse."}, []string{"by"})
	announced = promauto.NewCounterVec(prometheus.CounterOpts{Name: "starling_presence_announcements_total",
		Help: "Users announced to their guilds: ok, failed (tried again), lost (after the last try)."}, []string{"outcome"})
	published = promauto.NewCounter(prometheus.CounterOpts{Name: "starling_presence_published_total",
		Help: "PRESENCE_UPDATE published, one per guild of a user."})
	pending = promauto.NewGauge(prometheus.GaugeOpts{Name: "starling_presence_pending",
		Help: "Users who wait to be announced."})
	storeErrors = promauto.NewCounterVec(prometheus.CounterOpts{Name: "starling_presence_store_errors_total",
		Help: "Calls to the store that failed, by call: report, presences, lapse."}, []string{"call"})
)

func init() { // so that rules see what has not happened yet
	for vec, values := range map[*prometheus.CounterVec][]string{
		calls: {"ok", "bad", "busy", "away"}, questions: {"ok", "bad", "away"}, announced: {"ok", "failed", "lost"},
		storeErrors: {"report", "presences", "lapse"},
	} {
		for _, v := range values {
			vec.WithLabelValues(v)
		}
	}
}
