package segment_test

import (
	"slices"
	"testing"

	"github.com/sluicelog/sluice/eventlog/eventlogtest"
	"github.com/sluicelog/sluice/segment"
	"github.com/sluicelog/sluice/segment/segmenttest"
)

// watchedFS tells of what is done to the files that it has made.
type watchedFS struct {
	*segmenttest.Disk
	see func(op segmenttest.Op, name string) // nil for nothing
}

func (w *watchedFS) Create(name string) (segment.File, error) {
	f, err := w.Disk.Create(name)
	return watchedFile{f, w, name}, err
}

func (w *watchedFS) tell(op segmenttest.Op, name string) {
	if w.see != nil {
		w.see(op, name)
	}
}

type watchedFile struct {
	segment.File
	fs   *watchedFS
	name string
}

func (f watchedFile) WriteAt(b []byte, offset int64) (int, error) {
	f.fs.tell(segmenttest.Write, f.name)
	return f.File.WriteAt(b, offset)
}

func (f watchedFile) Truncate(size int64) error {
	f.fs.tell(segmenttest.Truncate, f.name)
	return f.File.Truncate(size)
}

func (f watchedFile) Sync() error {
	f.fs.tell(segmenttest.Sync, f.name)
	return f.File.Sync()
}

// A file is the oldest of those that readers have open from when it is not the newest
// any more, if they read enough others: they may let go of it while it gets its footer.
func TestSealWhileReadersOpenManyFiles(t *testing.T) {
	const files = 70
	for _, during := range []segmenttest.Op{segmenttest.Write, segmenttest.Truncate, segmenttest.Sync} {
		t.Run(string(during), func(t *testing.T) {
			fsys := &watchedFS{Disk: segmenttest.NewDisk(1)}
			e, err := segment.Open("log", segment.Options{SegmentSize: segment.MinSegmentSize, Log: logID(), FS: fsys})
			if err != nil {
				t.Fatal(err)
			}
			p, err := e.Open(t.Context(), "audit")
			if err != nil {
				t.Fatal(err)
			}
			m := eventlogtest.Maker{Log: logID(), Partition: "audit", Next: 1}
			appendOne := func() {
				t.Helper()
				if err := p.Append(t.Context(), m.Block(1, 40_000)); err != nil { // a file holds one
					t.Fatal(err)
				}
			}
			for range files {
				appendOne()
			}
			sealed, reads := fsys.Files()[files-1], 0 // the lock comes behind them
			fsys.see = func(op segmenttest.Op, name string) {
				if op != during || name != sealed {
					return
				}
				reads++
				for n := range uint64(files) {
					seq := (files-1+n)%files + 1 // the one that gets its footer comes first
					if s, err := p.Next(t.Context(), seq); err != nil || s.Header.First != seq {
						t.Errorf("read %d: got the block at %d, %v", seq, s.Header.First, err)
					}
				}
			}
			appendOne()
			if reads != 1 {
				t.Fatalf("readers came %d times while %s got its footer, want once", reads, sealed)
			}
			stored, err := e.Files("audit")
			if err != nil {
				t.Fatal(err)
			}
			last := stored[len(stored)-2]
			if got, want := last.Bytes, stored[0].Bytes; !last.Closed || got != want {
				t.Errorf("the file that got its footer: got %d bytes, closed is %v, want %d as the first one", got, last.Closed, want)
			}
			if i := slices.IndexFunc(stored[:files], func(s segment.Stored) bool { return !s.Closed }); i >= 0 {
				t.Errorf("%s has no footer", stored[i].Name)
			}
		})
	}
}
