package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/starling-chat/starling/loadtest/faults"
)

const (
	faultRate  = 100 // messages/s while things break, beside four live clients: figures are of faults, not of load
	stallKill  = 3 * time.Second
	stallHub   = 10 * time.Second
	leaveExtra = 250 * time.Millisecond // beyond the slowest answer of the calm before
)

// proveFaults breaks a mesh of three cores and three hubs on real servers, one fault after the other, each under a load of its own that is
// judged afterwards.
func proveFaults(ctx context.Context, r *report, s sizes) error {
	if !s.on("real") {
		return nil
	}
	lab, err := faults.OpenRegion(ctx, "", r.note)
	if err != nil {
		return err
	}
	defer lab.Close()
	for _, p := range []struct {
		fault  faults.Fault
		figure func(r *report, f *faults.Figures)
	}{
		{faults.OwnerKilled(), func(r *report, f *faults.Figures) {
			r.atMost("owner killed: longest wait of a write", stallKill, f.Phase("owner killed").Answers.Max(), "")
			told(r, f, "a core joins: longest wait of a write", "joining")
		}},
		{faults.OwnerStopped(10 * time.Second), func(r *report, f *faults.Figures) {
			told(r, f, "owner frozen 10 s: longest wait of a write", "owner stopped 10s")
		}},
		{faults.OwnerStopped(time.Minute), func(r *report, f *faults.Figures) {
			told(r, f, "owner frozen 60 s: longest wait of a write", "owner stopped 1m0s")
		}},
		{faults.CoreLeaves(), func(r *report, f *faults.Figures) {
			p, usual := f.Phase("core leaving"), f.Phase("calm").Answers.Max()
			refused := 0
			for _, n := range p.Refusals {
				refused += n
			}
			r.zero("core leaves: writes refused", refused)
			r.atMost("core leaves: longest wait of a write beyond the usual", leaveExtra, max(0, p.Answers.Max()-usual),
				fmt.Sprintf(" beyond %d ms", usual.Milliseconds()))
		}},
		{faults.TwoOwners(3), func(r *report, f *faults.Figures) {
			told(r, f, "two owners of a bucket: longest wait of a write", "two owners, 3 times")
		}},
		{faults.HubKilled(), func(r *report, f *faults.Figures) {
			r.atMost("leading hub killed: longest wait of a write", stallHub, f.Phase("hub killed").Answers.Max(), "")
		}},
		{faults.HubStopped(15 * time.Second), func(r *report, f *faults.Figures) {
			r.atMost("leading hub frozen 15 s: longest wait of a write", stallHub, f.Phase("hub stopped 15s").Answers.Max(), "")
		}},
		{faults.LeaderStepsDown(20), func(r *report, f *faults.Figures) {
			told(r, f, "the log's leader gives way 20 times: longest wait of a write", "20 leaders")
		}},
	} {
		f, err := lab.Day(ctx, faultRate, p.fault)
		if f == nil || f.Figures == nil {
			return fmt.Errorf("%s: %w", p.fault.Name, err)
		}
		r.note("%s:\n%v", p.fault.Name, f)
		verdict := "0"
		if err != nil {
			r.note("%s: %v", p.fault.Name, err)
			verdict, _, _ = strings.Cut(err.Error(), "\n")
		}
		r.line(p.fault.Name+": lost, doubled, out of order, or without an order that agrees with all answers", "0",
			fmt.Sprintf("%s of %d messages, %d channels, %d acts", verdict, sent(f), f.Built, f.Acts), err == nil)
		p.figure(r, f)
	}
	return nil
}

// told gives a figure that nothing is asked of.
func told(r *report, f *faults.Figures, claim, phase string) {
	p := f.Phase(phase)
	r.line(claim, "told", fmt.Sprintf("%d ms", p.Answers.Max().Milliseconds()), true)
}

func sent(f *faults.Figures) (n int) {
	for _, p := range f.Phases {
		n += p.Sent
	}
	return n
}
