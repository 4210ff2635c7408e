//go:build linux && amd64

package clock

import (
	"flag"
	"path/filepath"
	"testing"

	"github.com/sluicelog/sluice/bench/mutant"
)

var (
	cyclesFlag = flag.Int("cycles", 3, "how often the server is killed under load while its clock jumps")
	eventsFlag = flag.Int("events", 400, "events acknowledged in each cycle, at least")
	seedFlag   = flag.Uint64("seed", 0, "seed of all that is random; 0 takes a new one")
)

// soon lets retention look several times a second and believe the clock of a start
// soon, and tells a stream to be well when it has been for a second.
func soon() []mutant.Edit {
	return []mutant.Edit{
		{File: "deliver/retention.go", Old: "const retentionEvery = time.Minute", New: "const retentionEvery = 100 * time.Millisecond"},
		{File: "deliver/retention.go", Old: "const clockGrace = time.Hour", New: "const clockGrace = 300 * time.Millisecond"},
		{File: "control/health.go", Old: "recoveredAfter = time.Minute", New: "recoveredAfter = time.Second"},
	}
}

// made is the server without a defect, which all tests share.
var made = mutant.Shared{Edits: Edits(soon()...), Flags: []string{Flag}}

func TestMain(m *testing.M) { made.Run(m) }

func newClock(t *testing.T) *Clock {
	t.Helper()
	c, err := New(filepath.Join(t.TempDir(), "clock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}
