//go:build linux

package powercut_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/sluicelog/sluice/bench/fault"
	"github.com/sluicelog/sluice/bench/mutant"
	"github.com/sluicelog/sluice/bench/oracle"
	"github.com/sluicelog/sluice/bench/powercut"
	"github.com/sluicelog/sluice/bench/server"
)

var (
	cyclesFlag = flag.Int("cycles", 4, "how often the power fails under load")
	eventsFlag = flag.Int("events", 400, "events acknowledged in each cycle, at least")
	seedFlag   = flag.Uint64("seed", 0, "seed of all that is random; 0 takes a new one")
	dirFlag    = flag.String("dir", "", "folder for the data and logs of TestPowerCuts, which stay there; a temporary one when it is not given")
)

const diskSize = 1 << 30 // bytes, of a sparse file

func TestMain(m *testing.M) {
	if code, ran := powercut.Enter(); ran {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// newDisk makes a disk for the time of a test.
func newDisk(t *testing.T, dir string) *powercut.Disk {
	t.Helper()
	if err := powercut.Allowed(); err != nil {
		t.Skip(err)
	}
	d, err := powercut.New(t.Context(), dir, diskSize)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// lastWords shows the end of the server's log, which goes with the folder.
func lastWords(t *testing.T, dir string) {
	t.Helper()
	words, _ := os.ReadFile(filepath.Join(dir, "server.log"))
	t.Logf("the server's last words: %s", words[max(0, len(words)-4000):])
}

// TestCutLosesWhatWasNotSynced holds that the disk is one that loses power.
func TestCutLosesWhatWasNotSynced(t *testing.T) {
	d := newDisk(t, t.TempDir())
	write := func(name, text string, sync bool) {
		f, err := os.OpenFile(filepath.Join(d.Path(), name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
		if sync {
			if err := f.Sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
	write("synced", "kept", true)
	write("synced", "lost", false)
	write("new", "lost", false)
	if err := d.Cut(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(d.Path(), "synced"))
	if want := "kept"; err != nil || string(got) != want {
		t.Errorf("file whose first half was synced: got %q (%v), want %q", got, err, want)
	}
	if got, _ := os.ReadFile(filepath.Join(d.Path(), "new")); len(got) > 0 {
		t.Errorf("file that was not synced: got %q, want nothing", got)
	}
}

// TestPowerCuts takes the power from the server's disk again and again under
// load, and compares what became of every event.
func TestPowerCuts(t *testing.T) {
	t.Parallel()
	record := fault.Record{
		Drill: "Power cuts",
		What: "The server's data lie on an ext4 file system of their own, which ends without another write while the server works under load: what was not synced is gone. " +
			"In a third of the cycles the disk fails before that: each write and each sync returns an error. What producers were told, what receivers got and what each stream's account says is compared, event by event.",
		Command: "go test ./bench/powercut -run 'TestPowerCuts$'",
	}
	fault.Keep(t, func() fault.Record { return record })
	if err := powercut.Allowed(); err != nil {
		record.Skipped = err.Error()
	}
	dir, seed := *dirFlag, fault.Seed(t, *seedFlag)
	if dir == "" {
		dir = t.TempDir()
	}
	d := newDisk(t, dir)
	result, err := oracle.Run(t.Context(), oracle.Config{
		Binary: mutant.Test(t, []mutant.Edit{oracle.SmallChunks()}), Dir: dir, Power: d, Cycles: *cyclesFlag, Acknowledged: *eventsFlag, Seed: seed, Report: t.Output(),
	})
	t.Logf("seed %d: %d power cuts, %d starts, %d events acknowledged, %d streams judged", seed, result.Cycles, result.Restarts, result.Acknowledged, result.Streams)
	for _, f := range result.Findings {
		t.Error(f)
	}
	if err != nil {
		t.Error(err)
		lastWords(t, dir)
	}
	record.Findings = result.With(err)
	record.Command += fmt.Sprintf(" -args -cycles %d -seed %d", result.Cycles, seed)
	record.Seeds = strconv.FormatUint(seed, 10)
	record.Faults = []fault.Count{{Name: "power cuts", Count: int64(result.Cycles)}, {Name: "of them after the disk failed", Count: int64(result.DiskFailures)}, {Name: "starts", Count: int64(result.Restarts)}}
	record.Judged = []fault.Count{{Name: "acknowledged events", Count: int64(result.Acknowledged)}, {Name: "streams", Count: int64(result.Streams)}, {Name: "objects in a bucket", Count: int64(result.Objects)}, {Name: "events found", Count: int64(result.Searched)}, {Name: "exact comparisons of all accounts", Count: int64(result.Rests)}}
}

// A lazySync is a server that leaves a sync out.
type lazySync struct {
	what   string
	cycles int // that are enough to find it out
	edits  []mutant.Edit
}

// TestPowerCutsFindAMissingSync plays with servers that leave a sync out: each has
// to be found out, or the power cuts would prove nothing. Those that take long are
// behind the build tag torture.
func TestPowerCutsFindAMissingSync(t *testing.T) {
	t.Parallel()
	for _, m := range []lazySync{
		{"log", 3, []mutant.Edit{{File: "segment/fs.go", Old: "return dataSync(f.File) }", New: "return nil }"}}},
		{"control state", 3, []mutant.Edit{
			{File: "sqlite/open.go", Old: "synchronous(FULL)", New: "synchronous(OFF)"},
			{File: "sqlite/open.go", Old: "synchronous != 2", New: "synchronous != 0"},
			{File: "sqlite/growth.go", Old: "info.Size() > g.size", New: "false"},
		}},
	} {
		t.Run(m.what, func(t *testing.T) { m.found(t, mutant.Test(t, m.edits)) })
	}
}

// found holds that the power cuts find the server out.
func (m *lazySync) found(t *testing.T, binary string) {
	t.Helper()
	result, err := oracle.Run(t.Context(), oracle.Config{
		Binary: binary, Dir: t.TempDir(), Power: newDisk(t, t.TempDir()), Cycles: m.cycles, Acknowledged: *eventsFlag, Seed: 1, StopAtFinding: true, Report: t.Output(),
	})
	t.Logf("found: %v %v", result.Findings, err)
	if result.Wrong == 0 && !errors.Is(err, server.ErrEnded) { // it may not be able to start any more
		t.Errorf("a server that does not sync was not found out (%v)", err)
	}
}
