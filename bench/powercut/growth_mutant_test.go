//go:build linux

package powercut_test

import (
	"os"
	"testing"

	"github.com/sluicelog/sluice/bench/mutant"
	"github.com/sluicelog/sluice/bench/powercut"
)

// TestLogFillsDiskFindsNoFloor lets the log fill the disk of a server that leaves
// nothing free for itself.
func TestLogFillsDiskFindsNoFloor(t *testing.T) {
	if err := powercut.Allowed(); err != nil {
		t.Skip(err)
	}
	binary := mutant.Broken(t, *mutantFlag, []mutant.Edit{
		{File: "control/space.go", Old: "	low := free < s.cfg.Floor\n", New: "	low := free < s.cfg.Floor && free < 1<<12\n"},
	})
	mutant.Found(t, os.Args[0], "TestLogFillsDisk", "growth_test.go:", "-grown", binary)
}
