package resume

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/starling-chat/starling/proto/pb"
)

var (
	resumes = promauto.NewCounterVec(prometheus.CounterOpts{Name: "starling_resume_calls_total",
		Help: "Questions of edges where a session stands, by outcome: OK, INVALID, BAD_TOKEN, RETRY."}, []string{"outcome"})
	tails = promauto.NewCounter(prometheus.CounterOpts{Name: "starling_resume_tails_total",
		Help: "Sessions that go on at the last number that a lost journal covered: they may get events twice."})
	moves = promauto.NewCounterVec(prometheus.CounterOpts{Name: "starling_resume_moves_total",
		Help: "Moves of sessions, by outcome: ok, lost (somebody else was first), error."}, []string{"outcome"})
)

// They are there before they count: who watches a rate sees the first.
func init() {
	for _, o := range pb.ResumeAnswer_Outcome_name {
		resumes.WithLabelValues(o)
	}
	for _, o := range []string{"ok", "lost", "error"} {
		moves.WithLabelValues(o)
	}
}
