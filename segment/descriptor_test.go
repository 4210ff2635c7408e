package segment_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/eventlog/eventlogtest"
	"github.com/sluicelog/sluice/segment/segmenttest"
)

// A process that has no descriptor left for the next file, or for the folder that
// names it, takes the same block when it has one again, and leaves nothing behind.
func TestNoDescriptorLeft(t *testing.T) {
	for _, op := range []segmenttest.Op{segmenttest.Create, segmenttest.SyncDir} {
		t.Run(string(op), func(t *testing.T) {
			disk := segmenttest.NewDisk(1)
			_, p, err := openLog(disk)
			if err != nil {
				t.Fatal(err)
			}
			m := eventlogtest.Maker{Log: logID(), Partition: "audit", Next: 1}
			block := m.Block(3, 1000)
			before := fmt.Sprint(disk.Files())
			disk.SetFault(func(o segmenttest.Op, _ string) error {
				if o == op {
					return fmt.Errorf("%w: too many open files", eventlog.ErrFull)
				}
				return nil
			})
			for range 2 {
				if err := p.Append(t.Context(), block); !errors.Is(err, eventlog.ErrFull) || errors.Is(err, eventlog.ErrFailed) {
					t.Fatalf("without a descriptor: got %v, want %v", err, eventlog.ErrFull)
				}
			}
			if got := fmt.Sprint(disk.Files()); got != before {
				t.Errorf("files: got %s, want %s", got, before)
			}
			disk.SetFault(nil)
			if err := p.Append(t.Context(), block); err != nil {
				t.Fatal(err)
			}
			disk = disk.Restart(segmenttest.Lose)
			if _, p, err = openLog(disk); err != nil {
				t.Fatal(err)
			}
			if first := p.State().First; first != 1 {
				t.Errorf("first after a power cut: got %d, want 1", first)
			}
		})
	}
}
