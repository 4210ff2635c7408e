// Package fault keeps what the drills did and saw: programs that break something
// on purpose (a process, a disk, a clock, a byte) and judge from outside what
// became of each event. A drill keeps one Record for each of its runs; the
// command in bench/fault/write turns a folder of them into docs/FAULTS.md, so
// that a reader sees how often each fault was played, with which seeds, and what
// was found.
//
// A drill that breaks off has a record all the same, and one without a record is
// named as not played ([Drills]): the report never tells of less than there is.
//
// Records are kept only when SLUICE_FAULTS names a folder, as `make torture`
// does; a plain test only logs them.
package fault

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicelog/sluice/bench/machine"
)

// Dir is the environment variable that names the folder for records.
const Dir = "SLUICE_FAULTS"

// A Record is one run of a drill.
type Record struct {
	// Drill names the fault in a few words ("kills", "power cuts"); it is the
	// heading of the record in the report, and the name of its file.
	Drill string `json:"drill"`
	// What says in a sentence or two what was broken and what was compared.
	What string `json:"what"`
	// Command repeats the run.
	Command string `json:"command"`
	// Seeds repeats what was random: "17", or "1 to 1000"; empty when nothing was.
	Seeds string `json:"seeds,omitempty"`
	// Faults counts what was done, in the order in which it is to be read.
	Faults []Count `json:"faults"`
	// Judged counts what was compared.
	Judged []Count `json:"judged"`
	// Findings says what was not as promised; empty when everything was.
	Findings []string `json:"findings,omitempty"`
	// Skipped says why nothing was done, where the drill cannot run here.
	Skipped string `json:"skipped,omitempty"`

	// Code is the last change of the server that was played with, Began and Seconds
	// are when and how long. All are set by Keep.
	Code    string    `json:"code,omitempty"`
	Began   time.Time `json:"began"`
	Seconds float64   `json:"seconds"`
}

// A Count is a number of things.
type Count struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
}

// Seed returns the seed that a flag gives, or a new one where the flag is 0, and
// logs it.
func Seed(t testing.TB, flag uint64) uint64 {
	t.Helper()
	if flag == 0 {
		flag = rand.Uint64()
	}
	t.Logf("seed %d", flag)
	return flag
}

// maxFindings bounds what a record tells; the drill's own output has all.
const maxFindings = 50

// Keep has the record of a run kept when the test ends, in whatever way it ends:
// what of returns then is logged and written into the folder that SLUICE_FAULTS
// names, as a file of the drill's name; a later record of that name takes its
// place. So of tells of a run that broke off in the middle, too, and is called
// after the cleanups of whatever the test has started later. Call Keep once, at
// the start of a run; Began and Seconds are set here.
//
// A test that failed and whose record has no findings gets one that says so: no
// failure is told as "none". A drill that broke nothing, or compared nothing, fails:
// it has proved nothing. A record that cannot be written fails the test, and so does
// one of a drill that [Drills] does not list.
func Keep(t testing.TB, of func() Record) {
	t.Helper()
	began := time.Now()
	t.Cleanup(func() {
		r := of()
		r.Began, r.Seconds = began, time.Since(began).Seconds()
		r.keep(t)
	})
}

// failed is the finding of a drill that failed and says nothing of it.
const failed = "the drill failed: see its output"

func (r Record) keep(t testing.TB) {
	t.Helper()
	if r.idle() {
		t.Errorf("%s: faults %v, judged %v: want some of both", r.Drill, r.Faults, r.Judged)
	}
	if t.Failed() && len(r.Findings) == 0 {
		r.Findings = []string{failed}
	}
	if len(r.Findings) > maxFindings {
		more := len(r.Findings) - maxFindings
		r.Findings = append(r.Findings[:maxFindings:maxFindings], fmt.Sprintf("and %d more", more))
	}
	if !slices.Contains(Drills(), r.Drill) {
		t.Errorf("the drill %q is not in the list of all drills", r.Drill)
	}
	t.Logf("%s, seeds %q: faults %v, judged %v, %d findings, %.1f s", r.Drill, r.Seeds, r.Faults, r.Judged, len(r.Findings), r.Seconds)
	dir := os.Getenv(Dir)
	if dir == "" {
		return
	}
	r.Code = machine.Code()
	if err := r.write(dir); err != nil {
		t.Errorf("keep the record of %s: %v", r.Drill, err)
	}
}

// idle reports whether a drill that was played to its end broke nothing, or compared
// nothing.
func (r *Record) idle() bool {
	some := func(c Count) bool { return c.Count > 0 }
	return len(r.Findings) == 0 && r.Skipped == "" && !(slices.ContainsFunc(r.Faults, some) && slices.ContainsFunc(r.Judged, some))
}

// write puts the record into the folder.
func (r Record) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	name := strings.ReplaceAll(strings.ToLower(r.Drill), " ", "-") + ".json"
	return os.WriteFile(filepath.Join(dir, name), append(text, '\n'), 0o644)
}

// Read returns the records of a folder, sorted by the names of their files.
func Read(dir string) ([]Record, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	var all []Record
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		var r Record
		if err := json.Unmarshal(text, &r); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		all = append(all, r)
	}
	return all, nil
}
