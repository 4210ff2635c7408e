package segment_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
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
			Damage: func(partition string, first uint64, offset int) {
				files, err := filepath.Glob(filepath.Join(dir, partition, "*.seg"))
				if err != nil {
					t.Fatal(err)
				}
				for _, file := range files {
					data, err := os.ReadFile(file)
					if err != nil {
						t.Fatal(err)
					}
					if damage(data, first, offset) {
						if err := os.WriteFile(file, data, 0o600); err != nil {
							t.Fatal(err)
						}
					}
				}
			},
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
			Damage: func(_ string, first uint64, offset int) {
				for _, name := range disk.Files() {
					if data := disk.Get(name); damage(data, first, offset) {
						disk.Put(name, data)
					}
				}
			},
		}
	})
}

// damage changes a byte of the block that starts with a number, if a file's data
// holds it.
func damage(data []byte, first uint64, offset int) bool {
	for at := 0; ; at++ {
		n := bytes.Index(data[at:], []byte(eventlog.Magic))
		if n < 0 {
			return false
		}
		at += n
		if h, err := eventlog.ParseHeader(data[at:]); err == nil && h.First == first {
			data[at+offset] ^= 1
			return true
		}
	}
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
