package api

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"golang.org/x/time/rate"
)

var admissions = promauto.NewCounterVec(prometheus.CounterOpts{Name: "starling_api_admissions_total",
	Help: "Sessions that begin, or move to another edge, by what and outcome: at_once, delayed, refused (told to come back later)."}, []string{"what", "outcome"})

func init() {
	for _, what := range []string{"begin", "move"} {
		for _, outcome := range []string{"at_once", "delayed", "refused"} {
			admissions.WithLabelValues(what, outcome)
		}
	}
}

const (
	defaultAdmit  = 180              // a second and processor, of each kind: others hardly feel it, and ten thousand are back within 30 s on two (docs/benchmarks.md)
	admitPatience = 10 * time.Second // READY may take so long
	admitSoon     = 20 * time.Millisecond
)

// An admission is the rate at which this core lets sessions begin, and others go on elsewhere, so that whoever is there is served while a herd
// comes: an edge that died, a place that was cut off. Who is too early is told when to come again, before any work is done for it. Any goroutine
// may call it.
type admission struct{ begin, move *rate.Limiter }

func newAdmission(perSecond int) *admission {
	if perSecond <= 0 {
		perSecond = defaultAdmit * runtime.GOMAXPROCS(0)
	}
	burst := max(10, perSecond/8) // what comes at once is felt by who is there
	return &admission{begin: rate.NewLimiter(rate.Limit(perSecond), burst), move: rate.NewLimiter(rate.Limit(perSecond), burst)}
}

// later is how long one more has to wait, in milliseconds; it has its turn then, unless that is beyond admitPatience.
func later(l *rate.Limiter, what string) uint32 {
	r := l.Reserve()
	d := r.Delay()
	switch {
	case d > admitPatience:
		r.Cancel()
		admissions.WithLabelValues(what, "refused").Inc()
	case d > admitSoon:
		admissions.WithLabelValues(what, "delayed").Inc()
	default:
		admissions.WithLabelValues(what, "at_once").Inc()
		return 0
	}
	return uint32(d.Milliseconds())
}
