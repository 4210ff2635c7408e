//go:build linux

package powercut_test

import (
	"flag"
	"fmt"
	"strconv"
	"testing"

	"github.com/sluicelog/sluice/bench/fault"
	"github.com/sluicelog/sluice/bench/mutant"
	"github.com/sluicelog/sluice/bench/oracle"
	"github.com/sluicelog/sluice/bench/powercut"
)

var fullsFlag = flag.Int("fulls", 2, "how often the disk gets full under load")

// TestFullDisk fills the server's disk again and again under load, gives the space
// back, and compares what became of every event.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	record := fault.Record{
		Drill: "Full disk",
		What: "A foreign file fills the disk of the server under load: in half of the cycles below the floor, in half to the last byte; in half of them the server is killed and started again while there is no space. " +
			"Posts have to be answered with 507, while deliveries, reads and, above the last byte, changes and what the log tells of them go on; when there is space again events are accepted without a restart. What producers were told, what receivers got and what each stream's account says is compared, event by event.",
		Command: "go test ./bench/powercut -run 'TestFullDisk$'",
	}
	fault.Keep(t, func() fault.Record { return record })
	if err := powercut.Allowed(); err != nil {
		record.Skipped = err.Error()
	}
	dir, seed := t.TempDir(), fault.Seed(t, *seedFlag)
	d := newDisk(t, dir)
	result, err := oracle.Run(t.Context(), oracle.Config{
		Binary: mutant.Test(t, []mutant.Edit{oracle.SmallChunks()}), Dir: dir, Space: d, Cycles: *fullsFlag, Acknowledged: *eventsFlag, Seed: seed, Report: t.Output(),
	})
	for _, f := range result.Findings {
		t.Error(f)
	}
	record.Findings = result.With(err)
	if err != nil {
		t.Error(err)
		lastWords(t, dir)
	}
	record.Command += fmt.Sprintf(" -args -fulls %d -seed %d", *fullsFlag, seed)
	record.Seeds = strconv.FormatUint(seed, 10)
	record.Faults = []fault.Count{{Name: "full disks", Count: int64(result.Fulls)}, {Name: "starts", Count: int64(result.Restarts)}}
	record.Judged = []fault.Count{{Name: "posts refused", Count: int64(result.Refused)}, {Name: "acknowledged events", Count: int64(result.Acknowledged)}, {Name: "streams", Count: int64(result.Streams)}, {Name: "objects in a bucket", Count: int64(result.Objects)}, {Name: "events found", Count: int64(result.Searched)}, {Name: "exact comparisons of all accounts", Count: int64(result.Rests)}}
}

// TestFullDiskFindsAMissingFloor plays with a server that takes every disk for an
// empty one: it has to be found out. To the last byte it is like any other.
func TestFullDiskFindsAMissingFloor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := newDisk(t, dir)
	edit := mutant.Edit{File: "cmd/sluice/space_unix.go", Old: "return uint64(st.Bavail) * uint64(st.Bsize), nil", New: "return 1 << 60, nil"}
	result, err := oracle.Run(t.Context(), oracle.Config{
		Binary: mutant.Test(t, []mutant.Edit{edit}), Dir: dir, Space: d, Roomy: true, Cycles: 1, Acknowledged: *eventsFlag, Seed: 2, StopAtFinding: true, Report: t.Output(),
	})
	t.Logf("found: %v", result.Findings)
	if result.Wrong == 0 {
		t.Errorf("a server that does not look at the free space was not found out (%v)", err)
	}
}
