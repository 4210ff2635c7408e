package flip

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/sluicelog/sluice/bench/fault"
	"github.com/sluicelog/sluice/bench/mutant"
)

var (
	seedsFlag  = flag.Int("seeds", 300, "how many bits are flipped, one after another")
	seedFlag   = flag.Uint64("seed", 1, "the first seed; the others follow")
	serverFlag = flag.Int("servers", 5, "how many bits are flipped under the server itself")
	sampleFlag = flag.String("sample", "", "folder of the data; made when it is absent")
)

// keptSample is where a drill that failed leaves its data.
const keptSample = "../../out/flip"

// folder returns where the sample of a test is made. It is kept when the test
// fails, and nobody said where.
func folder(t *testing.T) string {
	t.Helper()
	if *sampleFlag != "" {
		return *sampleFlag
	}
	dir := filepath.Join(t.TempDir(), "sample")
	t.Cleanup(func() {
		if t.Failed() {
			err := errors.Join(os.RemoveAll(keptSample), copyAll(dir, keptSample))
			t.Logf("the data are kept in out/flip (%v): -args -sample %s -seed SEED -seeds 1 plays a flip again", err, keptSample)
		}
	})
	return dir
}

// TestFlips flips bits in copies of a server's data and judges what the engines
// answer, and for some what the server does.
func TestFlips(t *testing.T) {
	t.Parallel()
	c := &tally{}
	fault.Keep(t, func() fault.Record { return record(c) })
	o := order{Sample: folder(t), Binary: mutant.Test(t, nil), Seed: *seedFlag, Seeds: *seedsFlag, Servers: *serverFlag, Kinds: kinds()}
	c = o.run(t)
	t.Logf("regions %v; refused %v; the server started on %d, and refused %d, which were restored", c.Regions, c.Refused, c.Served.Started, c.Served.Restored)
	for _, f := range c.Findings {
		t.Error(f)
	}
	for _, kind := range kinds() {
		if c.Flips[kind] == 0 && *seedsFlag >= len(turns()) {
			t.Errorf("no bit was flipped in %s", kind)
		}
	}
	if !t.Failed() {
		o.findsMissingChecksum(t)
	}
}

func record(c *tally) fault.Record {
	r := fault.Record{
		Drill: "Bit flips",
		What: "One bit of one file of the data was flipped, and the data opened: in thousands of copies through the engines, in some through the server itself, until each stream had told what became of every event. " +
			"Compared were every event and record with those before the flip, what was named as lost with the block that was hit, answers of searches with the log, ledgers with what arrived.",
		Command:  fmt.Sprintf("go test -count=1 -run 'TestFlips$' ./bench/flip -args -seed %d -seeds %d -servers %d", *seedFlag, *seedsFlag, *serverFlag),
		Seeds:    fmt.Sprintf("%d to %d", *seedFlag, *seedFlag+uint64(*seedsFlag)-1),
		Findings: c.Findings,
	}
	for _, kind := range kinds() {
		r.Faults = append(r.Faults, fault.Count{Name: "in " + kind, Count: c.Flips[kind]})
		if c.Refused[kind] > 0 {
			r.Judged = append(r.Judged, fault.Count{Name: "refused of " + kind, Count: c.Refused[kind]})
		}
	}
	r.Faults = append(r.Faults, fault.Count{Name: "under the server", Count: int64(c.Served.Started + c.Served.Restored)})
	r.Judged = append(r.Judged, fault.Count{Name: "blocks named as lost", Count: c.Lost}, fault.Count{Name: "ledgers", Count: int64(c.Served.Ledgers)})
	return r
}

// findsMissingChecksum plays flips of the log with a program that does not compare
// the checksums of what blocks hold: it has to be found out.
func (o order) findsMissingChecksum(t *testing.T) {
	t.Helper()
	o.Seed, o.Seeds, o.Servers, o.Kinds = 1, 60, 0, []string{logKind}
	c := o.run(t,
		mutant.Edit{File: "eventlog/block.go", Old: "if Checksum(stored) != f.CRC {", New: "if false {"},
		mutant.Edit{File: "eventlog/read.go", Old: "if Checksum(rest[:f.Stored]) != f.CRC {", New: "if false {"},
		mutant.Edit{File: "eventlog/header.go", Old: "if Checksum(rest[:f.Stored]) != f.CRC {", New: "if false {"},
	)
	if len(c.Findings) == 0 {
		t.Error("a program that does not compare the checksums of blocks was not found out")
	} else {
		t.Logf("without checksums of blocks: %d findings; the first: %.300s", len(c.Findings), c.Findings[0])
	}
}
