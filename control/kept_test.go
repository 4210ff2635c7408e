package control_test

import (
	"testing"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/deliver"
)

// What expires is told when half of the time has passed.
func TestExpiring(t *testing.T) {
	now := time.Date(2026, 5, 9, 12, 0, 0, 0, time.UTC)
	days := func(n int) time.Time { return now.AddDate(0, 0, n) }
	until := days(4)
	lane := deliver.LaneState{Partition: "git", Ledger: sluice.Ledger{Pending: 3}, BehindSince: days(-4)}
	kept := []control.Kept{{Class: "audit"}, {Class: "git", Until: &until}}
	of := func(lanes ...deliver.LaneState) []control.Kept {
		f := control.StreamFigures{State: deliver.State{Lanes: lanes}}
		return f.Expiring(kept, now)
	}
	if got := of(lane); len(got) != 1 || got[0].Class != "git" {
		t.Errorf("when half of the time has passed: got %v, want that Git events expire", got)
	}
	later, done := lane, lane
	later.BehindSince, done.Ledger.Pending = days(-3), 0
	if got := of(later, done, deliver.LaneState{Partition: "audit", Ledger: sluice.Ledger{Pending: 1}, BehindSince: days(-100)}); len(got) != 0 {
		t.Errorf("got %v, want nothing yet", got)
	}
}
