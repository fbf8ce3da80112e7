package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/starling-chat/starling/loadtest/faults"
)

const (
	faultRate  = 100                    // messages/s while things break, beside four live clients: figures are of faults, not of load
	leaveExtra = 250 * time.Millisecond // beyond the slowest answer of the calm before
)

// proveFaults breaks a mesh of three cores and three hubs on real servers, one fault after the other, each under a load of its own that is
// judged afterwards.
func proveFaults(ctx context.Context, r *report, s sizes) error {
	if !s.on("real") {
		return nil
	}
	bin, err := faults.BuildWithClocks(ctx)
	if err != nil {
		return err
	}
	defer os.RemoveAll(filepath.Dir(bin))
	lab, err := faults.OpenRegion(ctx, bin, r.note)
	if err != nil {
		return err
	}
	defer lab.Close()
	for _, p := range []struct {
		fault faults.Fault
		asked time.Duration // of the longest wait of a write; 0 = it is told
	}{
		{faults.OwnerKilled(), 3 * time.Second},
		{faults.OwnerStopped(10 * time.Second), 0},
		{faults.OwnerStopped(time.Minute), 0},
		{faults.CoreLeaves(), 0},
		{faults.TwoOwners(3), 0},
		{faults.HubKilled(), 10 * time.Second},
		{faults.HubStopped(15 * time.Second), 10 * time.Second},
		{faults.LeaderStepsDown(20), 0},
		{faults.ClockSet(time.Hour, 5*time.Second), 0},
		{faults.ClockSet(-time.Hour, 5*time.Second), 0},
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
		if p.asked > 0 {
			r.atMost(p.fault.Name+": longest wait of a write", p.asked, f.Stall(), "")
		} else {
			r.line(p.fault.Name+": longest wait of a write", "told", fmt.Sprintf("%d ms", f.Stall().Milliseconds()), true)
		}
		if left := f.Phase("core leaving"); left.Sent > 0 {
			refused := 0
			for _, n := range left.Refusals {
				refused += n
			}
			r.zero(p.fault.Name+": writes refused", refused)
			usual := f.Phase("calm").Answers.Max()
			r.atMost(p.fault.Name+": longest wait of a write beyond the usual", leaveExtra,
				max(0, left.Answers.Max()-usual, f.Phase("eve").Answers.Max()-usual), fmt.Sprintf(" beyond %d ms", usual.Milliseconds()))
		}
	}
	return nil
}

func sent(f *faults.Figures) (n int) {
	for _, p := range f.Phases {
		n += p.Sent
	}
	return n
}
