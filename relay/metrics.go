package relay

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Reasons of gaps.
const (
	gapPredecessor gapReason = "predecessor" // an entry names another predecessor than the last applied
	gapCounter     gapReason = "counter"     // the bucket's own counter jumps
	gapDigest      gapReason = "digest"      // the owner is further than what has arrived
	gapSilence     gapReason = "silence"     // no digest for 3 s
	gapReconnect   gapReason = "reconnect"   // the connection was lost
	gapSlow        gapReason = "slow"        // this process did not keep up and dropped messages
	gapError       gapReason = "error"       // any other error of the connection
	gapIncarnation gapReason = "incarnation" // somebody speaks of another log
)

var (
	appends = promauto.NewCounter(prometheus.CounterOpts{
		Name: "starling_relay_appends_total", Help: "Entries that the log has accepted.",
	})
	appendSeconds = promauto.NewHistogram(prometheus.HistogramOpts{
		Name: "starling_relay_append_seconds", Help: "From append to certain outcome.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 2, 18),
	})
	repeats = promauto.NewCounter(prometheus.CounterOpts{
		Name: "starling_relay_append_repeats_total", Help: "Appends sent again because their outcome was unknown.",
	})
	takeOvers = promauto.NewCounter(prometheus.CounterOpts{
		Name: "starling_relay_takeovers_total", Help: "Buckets taken over.",
	})
	gaps = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "starling_relay_gaps_total", Help: "Moments in which a followed bucket may have missed an entry, by reason.",
	}, []string{"reason"})
	repairs = promauto.NewCounter(prometheus.CounterOpts{
		Name: "starling_relay_repairs_total", Help: "Times that a bucket was read from the log to close a gap.",
	})
	repaired = promauto.NewCounter(prometheus.CounterOpts{
		Name: "starling_relay_repaired_entries_total", Help: "Entries that came from the log instead of live.",
	})
	resets = promauto.NewCounter(prometheus.CounterOpts{
		Name: "starling_relay_resets_total", Help: "Buckets whose past could not be read any more.",
	})
	refused = promauto.NewCounter(prometheus.CounterOpts{
		Name: "starling_relay_requests_refused_total", Help: "Requests answered busy because too many waited.",
	})
	malformed = promauto.NewCounter(prometheus.CounterOpts{
		Name: "starling_relay_malformed_total", Help: "Messages dropped because they could not be read.",
	})
	digestLag = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "starling_relay_digest_lag_seconds", Help: "Age of the oldest last digest of a followed bucket.",
	})
	logBytes = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "starling_relay_log_bytes", Help: "What this hub keeps of the event log.",
	})
	logLimit = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "starling_relay_log_limit_bytes", Help: "What this hub may keep of it: the log's own limit, or what the disk has left.",
	})
	logAgeSeconds = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "starling_relay_log_oldest_seconds", Help: "Age of the oldest entry; a limit that bites keeps it below a day.",
	})
	streamsLed = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "starling_relay_streams_led", Help: "Streams of the log that this hub leads.",
	})
	hubsSeen = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "starling_relay_hubs_seen", Help: "Hubs of the region that this one sees, itself included.",
	})
	hubReady = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "starling_relay_hub_ready", Help: "1 while this hub is within a majority and has caught up with it.",
	})
	replicaLag = promauto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "starling_relay_replica_lag_entries", Help: "How far another hub is behind a stream that this one leads.",
	}, []string{"stream", "hub"})
	serverClients = promauto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "starling_relay_clients", Help: "Cores connected to a hub, edges connected to a leaf.",
	}, []string{"server"})
	serverLinks = promauto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "starling_relay_links", Help: "Links between leaf and hub; a leaf wants one.",
	}, []string{"server"})
	linkSeconds = promauto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "starling_relay_link_rtt_seconds", Help: "Round trip of the slowest link between leaf and hub.",
	}, []string{"server"})
	linksLost = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "starling_relay_links_lost_total", Help: "Links to hubs that a leaf lost, or rebuilt since they were silent.",
	}, []string{"server"})
	serverPending = promauto.NewGaugeVec(prometheus.GaugeOpts{
		Name: "starling_relay_pending_bytes", Help: "Bytes of a hub or leaf that wait for those who are connected.",
	}, []string{"server"})
	slowConsumers = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "starling_relay_slow_consumers_total", Help: "Connections that a hub or leaf cut off since they took nothing.",
	}, []string{"server"})
	requestsWaiting = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "starling_relay_requests_waiting", Help: "Requests that wait for a worker.",
	})
	commandsWaiting = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "starling_relay_commands_waiting", Help: "Commands that wait to be handed to their buckets.",
	})
	readerBytes = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "starling_relay_reader_queued_bytes", Help: "Bytes of entries that wait in this edge for their buckets.",
	})
	journalBytes = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "starling_relay_journal_waiting_bytes", Help: "What this edge wrote to its journal and the hubs have not acknowledged.",
	})
	journalResends = promauto.NewCounter(prometheus.CounterOpts{
		Name: "starling_relay_journal_resends_total", Help: "Records of the journal sent again because nothing acknowledged them.",
	})
	journalReads = promauto.NewCounter(prometheus.CounterOpts{
		Name: "starling_relay_journal_reads_total", Help: "Times that this core read on in an edge's journal.",
	})
	begins = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "starling_relay_begins_total", Help: "Positions at which buckets began to be followed, by who told: digest (it was quiet), log.",
	}, []string{"by"})
	journalRecords = promauto.NewCounter(prometheus.CounterOpts{
		Name: "starling_relay_journal_records_total", Help: "Records of edges' journals that this core read, most of them ahead of any question.",
	})
	handshakesRefused = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "starling_relay_handshakes_refused_total", Help: "Certificates of the mesh that were refused, by reason.",
	}, []string{"reason"})
	certificateEnd = promauto.NewGauge(prometheus.GaugeOpts{
		Name: "starling_relay_certificate_end_seconds", Help: "When this role's certificate in the mesh expires, as Unix time.",
	})
)

func init() { // so that rules see what has not happened yet
	for _, reason := range []gapReason{gapPredecessor, gapCounter, gapDigest, gapSilence, gapReconnect, gapSlow, gapError, gapIncarnation} {
		gaps.WithLabelValues(string(reason))
	}
	for _, by := range []string{"digest", "log"} {
		begins.WithLabelValues(by)
	}
	for _, reason := range []string{"none", "expired", "authority", "role"} {
		handshakesRefused.WithLabelValues(reason)
	}
}
