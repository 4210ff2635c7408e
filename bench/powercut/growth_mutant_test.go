//go:build linux && torture

package powercut_test

import (
	"os"
	"testing"

	"github.com/sluicelog/sluice/bench/mutant"
	"github.com/sluicelog/sluice/bench/powercut"
)

// TestLogFillsDiskFindsBrokenServers lets the log fill the disk of servers that do
// not keep the floor, or forget on a full disk how far they got.
func TestLogFillsDiskFindsBrokenServers(t *testing.T) {
	if err := powercut.Allowed(); err != nil {
		t.Skip(err)
	}
	for _, m := range []struct {
		what, says string
		edits      []mutant.Edit
	}{
		{"nothing is left free", "posts are accepted", []mutant.Edit{
			{File: "control/space.go", Old: "	low := free < s.cfg.Floor\n", New: "	low := free < s.cfg.Floor && free < 1<<12\n"},
		}},
		{"half of the floor is left free", "posts are accepted", []mutant.Edit{
			{File: "control/space.go", Old: "	low := free < s.cfg.Floor\n", New: "	low := free < s.cfg.Floor/2\n"},
		}},
		{"events are refused too early", "a post is refused", []mutant.Edit{
			{File: "control/space.go", Old: "	low := free < s.cfg.Floor\n", New: "	low := free < s.cfg.Floor*3/2\n"},
		}},
		{"no cursor is stored", "the cursor was not stored", []mutant.Edit{
			{File: "deliver/flush.go", Old: "	flushEvery      = 50 * time.Millisecond\n", New: "	flushEvery      = time.Hour\n"},
		}},
	} {
		t.Run(m.what, func(t *testing.T) {
			binary := mutant.Broken(t, m.edits)
			mutant.Found(t, os.Args[0], "TestLogFillsDisk", m.says, "-grown", binary)
		})
	}
}
