package chaos

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// A Result is what a run found.
type Result struct {
	Config
	Tally
	Began    time.Time
	Length   time.Duration
	Seconds  []Second
	Effects  []Effect
	Killed   Times          // from the kill of an edge until its clients were live again
	Refused  map[string]int // answers that writers got instead of an acknowledgement
	HeldBack int            // messages not written because too many waited
	Flips    int            // changes of rights
}

// Good tells whether the promise was kept.
func (r *Result) Good() bool { return r.Tally.Good(r.Config.Resumed) }

// Print writes the verdict and what each fault did.
func (r *Result) Print(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\nfault\tat\tsockets ended\tresumed\tanew\tlive again p50\tp95\tmax\tsilence p50\tmax\tlongest answer\t")
	for _, e := range r.Effects {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t\n", e.What(), clock(e.Began.Round(10*time.Millisecond)), e.Broken, e.Resumed, e.Anew, ms(e.Back.At(.5)), ms(e.Back.At(.95)),
			ms(e.Back.Max()), ms(e.Silence.At(.5)), ms(e.Silence.Max()), ms(e.Answer))
	}
	w.Flush()
	fmt.Fprintln(out)
	for _, row := range r.Rows() {
		mark := ""
		if row.Bad {
			mark = "  <--"
		}
		fmt.Fprintf(out, "%30s  %s%s\n", row.Name, row.Value, mark)
	}
	for _, p := range slices.Concat(r.Examples, r.Problems) {
		fmt.Fprintln(out, "  ", p)
	}
	if r.more > 0 {
		fmt.Fprintf(out, "   and %d more\n", r.more)
	}
	verdict := "nothing lost, doubled, disordered or leaked"
	if r.Blind() {
		verdict = "TOO MUCH COULD NOT BE DECIDED"
	} else if !r.Good() {
		verdict = "THE PROMISE WAS BROKEN"
	}
	fmt.Fprintf(out, "\n%s\nrepeat: %s\n", verdict, r.Command)
}

// A Row of the table of all.
type Row struct {
	Name, Value, Why string
	Bad              bool
}

// Rows are the table of all.
func (r *Result) Rows() []Row {
	n := func(name string, value int, bad bool, why string) Row {
		return Row{Name: name, Value: thousands(value), Bad: bad && value > 0, Why: why}
	}
	return []Row{
		n("written", r.Written, false, "messages, each until it was acknowledged"),
		n("acknowledged", r.Acknowledged, false, "answered with 200 and an id"),
		n("unanswered", r.Unanswered, false, "given up; in history or not"),
		n("repeated by their sender", r.Repeated, false, "posted without a nonce, posted again for lack of an answer, and there more than once"),
		n("deliveries due", r.Due, false, "messages times clients that were entitled to them at that moment of the guild's log"),
		n("delivered", r.Delivered, false, ""),
		n("lost", r.Lost+r.HistoryLost, true, "due to a client that went on with its session, or acknowledged and not in history"),
		n("doubled", r.Doubled+r.HistoryDoubled, true, "twice at one client, or twice in history although the nonce was enforced"),
		n("disordered", r.Disordered, true, "after a later message of the same guild"),
		n("leaked", r.Leaked, true, "to a client that was not entitled to it at that moment"),
		n("strange", r.HistoryStrange, true, "in history, and nobody wrote it"),
		n("missed while identifying anew", r.MissedAnew, r.Config.Resumed, "due between the end of a session that could not be resumed and the next"),
		n("not live at the end", r.Adrift, true, "due to clients that had found no way back by then"),
		n("before GUILD_CREATE", r.Early, false, "said between a join and its GUILD_CREATE: history for who joins"),
		n("undecided", r.Undecided, r.Blind(), "deliveries at moments that no witness saw, with rights changing about then"),
		n("sockets ended", r.Sockets, false, "under clients, witnesses included"),
		n("resumed", r.Tally.Resumed, false, "sessions taken up again"),
		n("identified anew", r.Identified, r.Config.Resumed, "sessions that could not be"),
		n("changes of rights", r.Flips, false, "acknowledged, taken and given back"),
		{Name: "edge killed, live again", Value: fmt.Sprintf("p50 %s, p95 %s, max %s (%d clients)", ms(r.Killed.At(.5)), ms(r.Killed.At(.95)), ms(r.Killed.Max()), len(r.Killed)),
			Why: "from kill -9 until RESUMED, or until READY and all guilds"},
		{Name: "refused", Value: refusals(r.Refused), Why: "answers to writers, who tried again"},
		n("other problems", len(r.Problems)+r.more, true, "listed below, with examples of each kind above"),
	}
}

// thousands writes 1234567 as 1,234,567.
func thousands(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
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
