package segment_test

import (
	"path"
	"testing"

	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/segment"
	"github.com/sluicelog/sluice/segment/segmenttest"
)

// TestFilesAreACopy: the bytes that Files names are a log that opens with every
// block, goes on, and takes blocks of the identity of before.
func TestFilesAreACopy(t *testing.T) {
	s := newSample(t)
	reader, err := segment.Open("log", segment.Options{Log: logID(), FS: s.disk, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	files, err := reader.Files("audit")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(files), len(s.files); got != want {
		t.Fatalf("files: got %d, want %d", got, want)
	}
	other := segmenttest.NewDisk(2)
	if err := other.MkdirAll("log/audit"); err != nil {
		t.Fatal(err)
	}
	for i, f := range files {
		if got, want := f.Closed, i+1 < len(files); got != want {
			t.Errorf("%s is closed: got %v, want %v", f.Name, got, want)
		}
		other.Put(path.Join("log/audit", f.Name), s.disk.Get(path.Join("log/audit", f.Name))[:f.Bytes])
	}
	last := s.places[len(s.places)-1]
	if got, want := files[len(files)-1].Last, last.last; got != want {
		t.Errorf("last number: got %d, want %d", got, want)
	}

	next := eventlog.LogID{9}
	e, err := segment.Open("log", segment.Options{SegmentSize: segment.MinSegmentSize, Log: next, Earlier: []eventlog.LogID{logID()}, FS: other})
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Open(t.Context(), "audit")
	if err != nil {
		t.Fatal(err)
	}
	wantAll(t, s, p)
	if got := p.State().Damage; len(got) > 0 {
		t.Errorf("damage of the copy: got %v", got)
	}
	s.Maker.Log = next
	for range 40 { // some files more
		if err := s.append(p, 5_000); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := segment.Open("log", segment.Options{Log: next, Earlier: []eventlog.LogID{logID()}, FS: other, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if p, err = again.Open(t.Context(), "audit"); err != nil {
		t.Fatal(err)
	}
	seen, err := s.readAll(p)
	if err != nil || len(seen) != len(s.places)+40 {
		t.Errorf("blocks of both identities: got %d, error %v; want %d", len(seen), err, len(s.places)+40)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

// closing is a disk on which the process that writes closes a file just when somebody
// has looked for its footer.
type closing struct {
	*segmenttest.Disk
	name string
}

func (c closing) Open(name string, write bool) (segment.File, error) {
	f, err := c.Disk.Open(name, write)
	if name == c.name && err == nil {
		f = &closingFile{File: f}
	}
	return f, err
}

type closingFile struct {
	segment.File
	closed bool
}

func (f *closingFile) Size() (length, occupied int64, err error) {
	if f.closed {
		return f.File.Size()
	}
	return 2 * segment.MinSegmentSize, 2 * segment.MinSegmentSize, nil
}

func (f *closingFile) ReadAt(b []byte, offset int64) (int, error) {
	if f.closed {
		return f.File.ReadAt(b, offset)
	}
	f.closed = true
	clear(b)
	return len(b), nil
}

// TestFilesThatAreBeingClosed: a copy of a file that is closed while it is looked at
// takes what there is then, and no space that is given back.
func TestFilesThatAreBeingClosed(t *testing.T) {
	s := newSample(t)
	reader, err := segment.Open("log", segment.Options{Log: logID(), FS: closing{s.disk, s.files[0]}, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	files, err := reader.Files("audit")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := files[0].Bytes, int64(len(s.disk.Get(s.files[0]))); got != want || !files[0].Closed {
		t.Errorf("%s: got %d bytes, closed %v; want %d and closed", files[0].Name, got, files[0].Closed, want)
	}
}
