package bucket

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

var (
	commandsTotal = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "starling_bucket_commands_total", Help: "Commands answered, by kind and status.",
	}, []string{"kind", "status"})
	groupCommands = promauto.NewHistogram(prometheus.HistogramOpts{
		Name: "starling_bucket_group_commands", Help: "Commands with events that one group holds.", Buckets: prometheus.ExponentialBuckets(1, 2, 11),
	})
	appendSeconds = promauto.NewHistogram(prometheus.HistogramOpts{
		Name: "starling_bucket_append_seconds", Help: "Time of one append to the log.", Buckets: prometheus.ExponentialBuckets(0.0001, 2, 16),
	})
	applySeconds = promauto.NewHistogramVec(prometheus.HistogramOpts{
		Name: "starling_bucket_apply_seconds", Help: "Time from append to applied, by store.", Buckets: prometheus.ExponentialBuckets(0.0001, 2, 18),
	}, []string{"store"})
	applyErrors = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "starling_bucket_apply_errors_total", Help: "Failed tries to apply entries, by store.",
	}, []string{"store"})
	unapplied = promauto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "starling_bucket_unapplied_entries", Help: "Entries in the log that a store has not applied.",
	}, []string{"store"})
	refusedTotal = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "starling_bucket_refused_total", Help: "Commands not executed, by reason.",
	}, []string{"reason"})
	waitingCommands = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "starling_bucket_waiting_commands", Help: "Commands in the queues of buckets, of 4096 each.",
	})
	heldCommands = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "starling_bucket_held_commands", Help: "Commands that wait until the directory has applied what the log has.",
	})
	gatedTotal = promauto.NewCounter(prometheus.CounterOpts{
		Name: "starling_bucket_gated_reads_total", Help: "Reads that were not tried since their store did not answer a moment ago.",
	})
	supersededTotal = promauto.NewCounter(prometheus.CounterOpts{
		Name: "starling_bucket_superseded_total", Help: "Buckets lost to another owner.",
	})
	repeatsTotal = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "starling_bucket_repeats_total", Help: "Commands answered with an earlier result, by what was known.",
	}, []string{"known"})
)

func init() { // so that rules see what has not happened yet
	for _, reason := range []string{"malformed", "misrouted", "expired", "queue", "held", "unapplied", "moved", "lost"} {
		refusedTotal.WithLabelValues(reason)
	}
	for _, known := range []string{"command", "nonce"} {
		repeatsTotal.WithLabelValues(known)
	}
	for _, store := range []string{"directory", "history"} {
		unapplied.WithLabelValues(store)
		applyErrors.WithLabelValues(store)
		applySeconds.WithLabelValues(store)
	}
}

// countCommand counts an answer; kinds that do not exist share one label.
func countCommand(kind string, status int32) {
	if _, ok := handlers[kind]; !ok && !snapshots[kind] {
		kind = "unknown"
	}
	commandsTotal.WithLabelValues(kind, strconv.Itoa(int(status))).Inc()
}
