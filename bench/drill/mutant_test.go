//go:build torture

package drill_test

import (
	"testing"

	"github.com/sluicelog/sluice/bench/mutant"
)

// broken builds a server with a defect.
func broken(t *testing.T, edits ...mutant.Edit) string {
	t.Helper()
	return mutant.Broken(t, edits)
}

// refusedIsDelivered lets the server take every try for a success.
var refusedIsDelivered = mutant.Edit{File: "deliver/step.go", Old: "	res := d.call(ctx, l, dest, b)\n", New: "	res := d.call(ctx, l, dest, b)\n	res.Err = nil\n"}

// TestChangesInFlightFindsAnEarlyCursor plays with a server that takes refused
// events for delivered ones.
func TestChangesInFlightFindsAnEarlyCursor(t *testing.T) {
	w := newFlight(t, 1)
	if w.play(broken(t, refusedIsDelivered), 3); len(w.found) == 0 {
		t.Error("a server that takes refused events for delivered ones was not found out")
	}
}

// TestDeadAndSlowFindsAnEarlyCursor plays with a server that takes refused events
// for delivered ones.
func TestDeadAndSlowFindsAnEarlyCursor(t *testing.T) {
	w := &neighbours{t: t, seed: 1}
	if w.play(broken(t, refusedIsDelivered), 1); len(w.found) == 0 {
		t.Error("a server that takes refused events for delivered ones was not found out")
	}
}

// TestRestoredBackupFindsAnOldIdentity plays with a restoration that leaves the log
// its identity: objects then collide with those of the lost log.
func TestRestoredBackupFindsAnOldIdentity(t *testing.T) {
	var d restoration
	d.play(t, broken(t, mutant.Edit{File: "cmd/sluice/restore.go", Old: "	v.ID = newLogID().String()\n", New: ""}))
	if len(d.found) == 0 {
		t.Error("a restored log with the identity of the lost one was not found out")
	}
}

// TestRestartStormFindsWhatIsLeftOver plays with a server that leaves a file behind
// with each start.
func TestRestartStormFindsWhatIsLeftOver(t *testing.T) {
	binary := broken(t, mutant.Edit{File: "cmd/sluice/drill_left.go", New: `package main

import "os"

var _ = func() bool {
	for i, a := range os.Args {
		if a == "--data" {
			if f, err := os.CreateTemp(os.Args[i+1]+"/log", "left-*"); err == nil {
				_ = f.Close()
			}
		}
	}
	return true
}()
`})
	st := &stormed{seed: 1}
	if st.play(t, binary, 20); len(st.found) == 0 {
		t.Error("a server that leaves files behind was not found out")
	}
}
