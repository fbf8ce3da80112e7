package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Figures of a run.
type Figures struct {
	Phases   []Phase
	Resumed  int // connections taken up again
	Lost     int // sessions that could not be
	Guilds   int // times that a guild went away from a live client
	HeldBack int // messages not sent because too many waited for answers
	Problems []string
}

// A Phase is what became of the messages that were first sent in it.
type Phase struct {
	Name         string
	Length       time.Duration
	Sent         int
	Acknowledged int
	Refusals     map[string]int // answers instead of an acknowledgement, by status
	Answers      Times          // from the first try to the acknowledgement
	Deliveries   Times          // from the first try until a live client heard it
	Silence      time.Duration  // longest that a live client heard nothing
}

// Times are measured, in order of length.
type Times []time.Duration

// At is a quantile, between 0 and 1.
func (t Times) At(q float64) time.Duration {
	if len(t) == 0 {
		return 0
	}
	return t[min(int(q*float64(len(t))), len(t)-1)]
}

// Max is the longest.
func (t Times) Max() time.Duration { return t.At(1) }

// Phase by name; the zero value if there is none.
func (f *Figures) Phase(name string) Phase {
	for _, p := range f.Phases {
		if p.Name == name {
			return p
		}
	}
	return Phase{}
}

// String is a table, a line for each phase.
func (f *Figures) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "phase\tseconds\tsent\tacked\tanswer p50\tp99\tmax\tdelivery p50\tp99\tmax\tsilence\trefused\t")
	for _, p := range f.Phases {
		fmt.Fprintf(w, "%s\t%.1f\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", p.Name, p.Length.Seconds(), p.Sent, p.Acknowledged,
			ms(p.Answers.At(.5)), ms(p.Answers.At(.99)), ms(p.Answers.Max()),
			ms(p.Deliveries.At(.5)), ms(p.Deliveries.At(.99)), ms(p.Deliveries.Max()), ms(p.Silence), refusals(p.Refusals))
	}
	w.Flush()
	fmt.Fprintf(&b, "resumed %d, lost sessions %d, guilds away %d, held back %d, problems %d\n", f.Resumed, f.Lost, f.Guilds, f.HeldBack,
		len(f.Problems))
	return b.String()
}

func ms(d time.Duration) string {
	return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
}

func refusals(m map[string]int) string {
	if len(m) == 0 {
		return "-"
	}
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, fmt.Sprintf("%s: %d", k, m[k]))
	}
	return strings.Join(parts, ", ")
}

// figures are computed once nothing runs any more.
func (r *Run) figures() *Figures {
	l := r.load
	f := &Figures{HeldBack: l.late, Phases: make([]Phase, len(l.phases))}
	end := time.Now()
	if len(l.notes) > 0 {
		end = l.notes[len(l.notes)-1].sent
	}
	for i, p := range l.phases {
		until := end
		if i+1 < len(l.phases) {
			until = l.phases[i+1].begun
		}
		f.Phases[i] = Phase{Name: p.name, Length: until.Sub(p.begun), Refusals: l.refusals[i]}
	}
	byKey := map[string]*note{}
	for _, n := range l.notes {
		p := &f.Phases[n.phase]
		p.Sent++
		byKey[n.key] = n
		if n.id != 0 {
			p.Acknowledged++
			p.Answers = append(p.Answers, n.answer)
		}
	}
	for _, x := range r.listeners {
		f.Resumed, f.Lost, f.Guilds = f.Resumed+x.resumed, f.Lost+x.lost, f.Guilds+x.guildly
		last := l.phases[0].begun
		for _, h := range x.heard {
			if n := byKey[h.key]; n != nil {
				p := &f.Phases[n.phase]
				p.Deliveries = append(p.Deliveries, h.at.Sub(n.sent))
			}
			p := &f.Phases[l.phaseAt(last)]
			p.Silence = max(p.Silence, h.at.Sub(last))
			last = h.at
		}
	}
	for i := range f.Phases {
		slices.Sort(f.Phases[i].Answers)
		slices.Sort(f.Phases[i].Deliveries)
	}
	return f
}

// phaseAt is the index of the phase that a moment is in.
func (l *load) phaseAt(at time.Time) int {
	i := len(l.phases) - 1
	for i > 0 && at.Before(l.phases[i].begun) {
		i--
	}
	return i
}
