package edge

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics of all edges of the process; those of sockets are in package transport.
var (
	sessionsGauge = promauto.NewGauge(prometheus.GaugeOpts{Name: "starling_edge_sessions",
		Help: "Sessions, connected or waiting for RESUME."})
	guildsGauge = promauto.NewGauge(prometheus.GaugeOpts{Name: "starling_edge_guilds",
		Help: "Guilds in the roster, loading and lingering ones included."})
	identifies = promauto.NewCounterVec(prometheus.CounterOpts{Name: "starling_edge_identifies_total",
		Help: "IDENTIFY by outcome."}, []string{"outcome"})
	resumes = promauto.NewCounterVec(prometheus.CounterOpts{Name: "starling_edge_resumes_total",
		Help: "RESUME by outcome."}, []string{"outcome"})
	replays = promauto.NewHistogram(prometheus.HistogramOpts{Name: "starling_edge_replay_frames",
		Help: "Frames that a session which moved here was replayed.", Buckets: prometheus.ExponentialBuckets(1, 4, 8)})
	isolations = promauto.NewCounter(prometheus.CounterOpts{Name: "starling_edge_isolations_total",
		Help: "Times that all sessions were closed, resumably, since the edge was cut off from journal or hub."})
	framesIn = promauto.NewCounterVec(prometheus.CounterOpts{Name: "starling_edge_client_frames_total",
		Help: "Frames from clients by opcode."}, []string{"op"})
	encodes = promauto.NewCounter(prometheus.CounterOpts{Name: "starling_edge_encodes_total",
		Help: "Encodings of events: one per generation, form and compression."})
	deliveries = promauto.NewCounter(prometheus.CounterOpts{Name: "starling_edge_deliveries_total",
		Help: "Dispatches handed to connections."})
	closes = promauto.NewCounterVec(prometheus.CounterOpts{Name: "starling_edge_closes_total",
		Help: "Closed gateway connections by code."}, []string{"code"})
	snapshots = promauto.NewCounterVec(prometheus.CounterOpts{Name: "starling_edge_snapshots_total",
		Help: "Calls to the cores for guild snapshots by outcome."}, []string{"outcome"})
	inboxGauge = promauto.NewGauge(prometheus.GaugeOpts{Name: "starling_edge_inbox",
		Help: "Messages that wait for the apply loop, of 1024."})
	loopLag = promauto.NewHistogram(prometheus.HistogramOpts{Name: "starling_edge_loop_lag_seconds",
		Help: "How late the apply loop comes to its tick.", Buckets: prometheus.ExponentialBuckets(0.0005, 4, 8)})
	limited = promauto.NewCounterVec(prometheus.CounterOpts{Name: "starling_edge_limited_total",
		Help: "What came too often, by what: frames, members (op 8), presence (op 3), starts (of sessions), tokens (bad ones, by address)."}, []string{"what"})
	presenceReports = promauto.NewCounterVec(prometheus.CounterOpts{Name: "starling_edge_presence_reports_total",
		Help: "Users of whose presence the cores were told, by outcome: ok, failed (told again later)."}, []string{"outcome"})
	presenceQuestions = promauto.NewCounterVec(prometheus.CounterOpts{Name: "starling_edge_presence_questions_total",
		Help: "Calls to the cores for presences by outcome: ok, failed (asked again later)."}, []string{"outcome"})
	presenceUpdates = promauto.NewCounterVec(prometheus.CounterOpts{Name: "starling_edge_presence_updates_total",
		Help: "Changes of presence in guilds: told, known (nothing new), bad, caught_up (found by asking)."}, []string{"what"})
	restRequests = promauto.NewCounterVec(prometheus.CounterOpts{Name: "starling_edge_rest_total",
		Help: "REST requests by outcome: forwarded, too_large, busy, no_answer, options, bad."}, []string{"outcome"})
)

func init() { // so that rules see what has not happened yet
	for vec, values := range map[*prometheus.CounterVec][]string{
		identifies:        {"ok", "bad_token", "no_answer", "limited", "stale"},
		resumes:           {"ok", "bad_token", "no_answer", "unknown", "slow"},
		snapshots:         {"ok", "not_found", "failed"},
		limited:           {"frames", "members", "presence", "starts", "tokens"},
		presenceReports:   {"ok", "failed"},
		presenceQuestions: {"ok", "failed"},
		closes:            {"1000", "1001", "1012", "4000", "4004", "4007", "4009", "other"},
		restRequests:      {"forwarded", "too_large", "busy", "no_answer", "options", "bad"},
	} {
		for _, v := range values {
			vec.WithLabelValues(v)
		}
	}
}
