package fault

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicelog/sluice/bench/machine"
)

func record() Record {
	return Record{
		Drill: "Power cuts", What: "The machine loses power.", Command: "go test ./bench/powercut", Seeds: "17",
		Faults: []Count{{"cuts", 1300}, {"failing disks", 3}}, Judged: []Count{{"events", 1234567}},
		Began: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Seconds: 61.4,
	}
}

func TestRecordsAreKeptAndRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "records")
	t.Setenv(Dir, dir)
	first := record()
	first.Findings = make([]string, maxFindings+7)
	Keep(t, first)
	Keep(t, record())
	other := record()
	other.Drill = "bit flips"
	other.Findings = make([]string, maxFindings+7)
	Keep(t, other)
	all, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(all), 2; got != want {
		t.Fatalf("records: got %d, want %d: the last of each drill", got, want)
	}
	if got, want := all[1].Faults[0], (Count{"cuts", 1300}); got != want {
		t.Errorf("read back: got %v, want %v", got, want)
	}
	if got, want := len(all[1].Findings), 0; got != want {
		t.Errorf("findings of the last record: got %d, want %d", got, want)
	}
	if got, want := all[0].Findings[maxFindings], "and 7 more"; got != want {
		t.Errorf("last of many findings: got %q, want %q", got, want)
	}
}

func TestNothingIsKeptWithoutAFolder(t *testing.T) {
	t.Setenv(Dir, "")
	t.Chdir(t.TempDir())
	Keep(t, record())
	if names, _ := filepath.Glob("*"); len(names) != 0 {
		t.Errorf("files: got %v, want none", names)
	}
}

func TestReport(t *testing.T) {
	bad := record()
	bad.Drill, bad.Findings = "bit flips", []string{"an event\nwas lost"}
	skipped := record()
	skipped.Drill, skipped.Skipped = "clock", "no root"
	var b strings.Builder
	r := Report{Facts: machine.Facts{Commit: "abc", Machine: "2 cores", Disk: "ext4", Sync: machine.Sync{Count: 100, P50: 150 * time.Microsecond, P99: 2 * time.Millisecond}},
		Records: []Record{record(), bad, skipped}}
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| commit | abc |", "150µs / 2ms (100 syncs)", "| [Power cuts](#power-cuts) | 1,300 cuts, 3 failing disks | 1,234,567 events | none | 1m1s |",
		"| **1** |", "- an event was lost\n", "| not played |", "Not played: no root", "Seeds: 17. Played on 2 January 2026.",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("report: got\n%s\nwant %q in it", b.String(), want)
		}
	}
	if err := r.Write(failing{}); err == nil {
		t.Error("write to what fails: got no error")
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestThousands(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1000: "-1,000", -100: "-100", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d): got %q, want %q", n, got, want)
		}
	}
}
