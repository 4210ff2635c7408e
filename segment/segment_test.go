package segment_test

import (
	"errors"
	"testing"

	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/eventlog/eventlogtest"
	"github.com/sluicelog/sluice/segment"
	"github.com/sluicelog/sluice/segment/segmenttest"
)

func logID() eventlog.LogID { return eventlog.LogID{1, 2, 3} }

func options(fsys segment.FS) segment.Options {
	return segment.Options{SegmentSize: 1 << 20, Log: logID(), FS: fsys}
}

// TestEngine runs the suite on the file system of the machine.
func TestEngine(t *testing.T) {
	eventlogtest.Test(t, func(t *testing.T) eventlogtest.Harness {
		dir := t.TempDir()
		return eventlogtest.Harness{
			Log:  logID(),
			Open: func() (eventlog.Engine, error) { return segment.Open(dir, options(nil)) },
		}
	})
}

// TestEngineOnDisk runs the suite on a disk that can be full and fail.
func TestEngineOnDisk(t *testing.T) {
	eventlogtest.Test(t, func(*testing.T) eventlogtest.Harness {
		disk := segmenttest.NewDisk(1)
		return eventlogtest.Harness{
			Log:  logID(),
			Open: func() (eventlog.Engine, error) { return segment.Open("log", options(disk)) },
			SetFull: func(full bool) {
				if full {
					disk.SetCapacity(1)
				} else {
					disk.SetCapacity(0)
				}
			},
			Break: func() { failOnce(disk, segmenttest.Sync) },
		}
	})
}

// failOnce makes the next operation of that kind fail.
func failOnce(disk *segmenttest.Disk, op segmenttest.Op) {
	done := false
	disk.SetFault(func(o segmenttest.Op, _ string) error {
		if done || o != op {
			return nil
		}
		done = true
		return errors.New("bad disk")
	})
}
