package fault

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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

// run is a test that may fail without failing this one.
type run struct {
	testing.TB
	atEnd  []func()
	failed bool
	said   []string
}

func (r *run) Helper()          {}
func (r *run) Cleanup(f func()) { r.atEnd = append(r.atEnd, f) }
func (r *run) Failed() bool     { return r.failed }
func (r *run) Logf(format string, args ...any) {
	r.said = append(r.said, fmt.Sprintf(format, args...))
}
func (r *run) Errorf(format string, args ...any) {
	r.failed = true
	r.Logf(format, args...)
}

// plays plays a drill to its end, as package testing does.
func plays(play func(*run)) *run {
	r := &run{}
	play(r)
	for _, f := range slices.Backward(r.atEnd) {
		f()
	}
	return r
}

func TestRecordsAreKeptAndRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "records")
	t.Setenv(Dir, dir)
	first := record()
	first.Findings = make([]string, maxFindings+7)
	other := first
	other.Drill = "Bit flips"
	for _, r := range []Record{first, record(), other} {
		plays(func(t *run) { Keep(t, func() Record { return r }) })
	}
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

// TestNoFailureIsToldAsNone plays drills that end in all ways.
func TestNoFailureIsToldAsNone(t *testing.T) {
	for _, c := range []struct {
		name string
		play func(t *run, r *Record)
		want []string
	}{
		{"to the end", func(*run, *Record) {}, nil},
		{"with a finding", func(t *run, r *Record) { r.Findings = []string{"lost"}; t.failed = true }, []string{"lost"}},
		{"a failure that is not noted", func(t *run, _ *Record) { t.failed = true }, []string{failed}},
		{"a failure while all is put away", func(t *run, _ *Record) { t.Cleanup(func() { t.failed = true }) }, []string{failed}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv(Dir, dir)
			plays(func(t *run) {
				kept := record()
				Keep(t, func() Record { return kept })
				c.play(t, &kept)
			})
			all, err := Read(dir)
			if err != nil || len(all) != 1 {
				t.Fatalf("records: got %v (%v), want one", all, err)
			}
			if got := all[0].Findings; !slices.Equal(got, c.want) {
				t.Errorf("findings: got %q, want %q", got, c.want)
			}
		})
	}
}

func TestADrillThatIsNotListedFails(t *testing.T) {
	r := plays(func(t *run) { Keep(t, func() Record { return Record{Drill: "of nobody"} }) })
	if !r.failed {
		t.Error("a drill that the report would leave out was kept")
	}
}

func TestADrillThatDidNothingFails(t *testing.T) {
	for name, change := range map[string]func(*Record){
		"no fault":        func(r *Record) { r.Faults = []Count{{"cuts", 0}} },
		"nothing judged":  func(r *Record) { r.Judged = nil },
		"neither of both": func(r *Record) { r.Faults, r.Judged = nil, nil },
	} {
		kept := record()
		change(&kept)
		if r := plays(func(t *run) { Keep(t, func() Record { return kept }) }); !r.failed {
			t.Errorf("%s: a drill that proves nothing passed", name)
		}
		kept.Skipped = "no root"
		if r := plays(func(t *run) { Keep(t, func() Record { return kept }) }); r.failed {
			t.Errorf("%s: a drill that cannot be played here failed: %q", name, r.said)
		}
	}
}

// TestEveryDrillIsKept looks for the names of the list in the tests of the tree.
func TestEveryDrillIsKept(t *testing.T) {
	missing := Drills()
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") || strings.Contains(path, "bench/fault/") {
			return err
		}
		text, err := os.ReadFile(path)
		missing = slices.DeleteFunc(missing, func(name string) bool { return strings.Contains(string(text), `"`+name+`",`) })
		return err
	})
	if err != nil || len(missing) > 0 {
		t.Errorf("no test keeps a record of %q (%v)", missing, err)
	}
}

func TestNothingIsKeptWithoutAFolder(t *testing.T) {
	t.Setenv(Dir, "")
	t.Chdir(t.TempDir())
	plays(func(t *run) { Keep(t, record) })
	if names, _ := filepath.Glob("*"); len(names) != 0 {
		t.Errorf("files: got %v, want none", names)
	}
}

func TestReport(t *testing.T) {
	bad := record()
	bad.Drill, bad.Findings = "Bit flips", []string{"an event\nwas lost"}
	skipped := record()
	skipped.Drill, skipped.Skipped = "Clock jumps", "no root"
	many := record()
	many.Drill, many.Faults = "Random histories", nil
	for i := range fewCounts + 1 {
		many.Faults = append(many.Faults, Count{fmt.Sprint("deaths of sort ", i), 1000})
	}
	all, missing := Complete([]Record{record(), bad, skipped, many})
	if got, want := len(missing), len(Drills())-4; got != want || len(all) != len(Drills()) {
		t.Errorf("drills without a record: got %d of %d, want %d of %d", got, len(all), want, len(Drills()))
	}
	var b strings.Builder
	r := Report{Facts: machine.Facts{Commit: "abc", Machine: "2 cores", Disk: "ext4", Sync: machine.Sync{Count: 100, P50: 150 * time.Microsecond, P99: 2 * time.Millisecond}},
		Records: all}
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| commit | abc |", "150µs / 2ms (100 syncs)", "| [Power cuts](#power-cuts) | 1,300 cuts, 3 failing disks | 1,234,567 events | none | 1m1s |",
		"| **1** |", "- an event was lost\n", "Not played: no root", "Seeds: 17. Played on 2 January 2026.",
		"| 9,000 of 9 kinds | 1,234,567 events |", "Faults: 1,000 deaths of sort 0, ",
		"| [Kills](#kills) |  |  | not played | 0s |", "## Kills\n\nNot played: it kept no record\n",
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
