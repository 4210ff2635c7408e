// Command write makes docs/FAULTS.md of the records that drills kept:
//
//	go run ./bench/fault/write -records docs/faults -o docs/FAULTS.md
//
// The machine, the file system and the time of a sync are those of the folder of
// records, which has to be on the disk that the drills used. A drill that kept no
// record is in the report as not played, and the command fails then.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/sluicelog/sluice/bench/fault"
	"github.com/sluicelog/sluice/bench/machine"
)

func main() {
	records := flag.String("records", "docs/faults", "folder of the records")
	out := flag.String("o", "docs/FAULTS.md", "the report")
	flag.Parse()
	if err := run(*records, *out); err != nil {
		fmt.Fprintln(os.Stderr, "write the report:", err)
		os.Exit(1)
	}
}

// run reads, measures and writes.
func run(records, out string) error {
	all, err := fault.Read(records)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("no records in %s", records)
	}
	facts, err := machine.Describe(records)
	if err != nil {
		return err
	}
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	all, missing := fault.Complete(all)
	r := fault.Report{Facts: facts, Records: all}
	if err := errors.Join(r.Write(f), f.Close()); err != nil {
		return err
	}
	if len(missing) > 0 {
		return fmt.Errorf("it is written, but these drills kept no record: %s", strings.Join(missing, ", "))
	}
	return nil
}
