package segment_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/segment"
	"github.com/sluicelog/sluice/segment/segmenttest"
)

// pieces returns what Walk passes, as text, and checks that pieces can be read.
func pieces(t *testing.T, e *segment.Engine) []string {
	t.Helper()
	var list []string
	err := e.Walk(t.Context(), "audit", func(p segment.Piece) error {
		if p.ReaderAt != nil {
			b := make([]byte, p.Size)
			if _, err := p.ReadAt(b, 0); err != nil {
				return fmt.Errorf("read %s at %d: %w", p.File, p.Offset, err)
			}
			if p.Damage == nil && eventlog.VerifyBlock(b) != nil {
				list = append(list, fmt.Sprintf("%d bad body", p.Header.First))
				return nil
			}
		}
		if p.Damage != nil {
			list = append(list, fmt.Sprintf("%d-%d %s", p.Damage.First, p.Damage.Last, p.Damage.Cause))
			return nil
		}
		list = append(list, fmt.Sprint(p.Header.First))
		return nil
	})
	if err != nil {
		t.Fatalf("walk: %v", err)
	}
	return list
}

// TestWalk damages a log in every way and reads it beside a process that writes.
func TestWalk(t *testing.T) {
	s := newSample(t)
	edit := func(file string, change func(b []byte) []byte) { s.disk.Put(file, change(s.disk.Get(file))) }
	second := s.at(s.files[0])[1]
	third := s.at(s.files[0])[2]
	last := s.places[len(s.places)-1]
	edit(s.files[0], func(b []byte) []byte {
		b[second.offset+20] ^= 1
		b[third.offset+third.size-1] ^= 1
		b[len(b)-1] ^= 1
		return b
	})
	s.disk.Put(s.files[1], nil)
	edit(s.files[2], func(b []byte) []byte {
		b[last.offset+last.size-1] ^= 1
		return b[:last.offset+last.size+100]
	})
	var want []string
	for _, b := range s.places {
		switch {
		case b == second:
			want = append(want, fmt.Sprintf("%d-%d bad block header", b.first, b.last))
		case b == third || b == last:
			want = append(want, fmt.Sprintf("%d bad body", b.first))
		case b.file == s.files[1] && b == s.at(s.files[1])[0]:
			gone := s.at(s.files[1])
			want = append(want, "0-0 bad footer", fmt.Sprintf("%d-%d missing file, or numbers that were never used",
				b.first, gone[len(gone)-1].last))
		case b.file == s.files[1]:
		default:
			want = append(want, fmt.Sprint(b.first))
		}
	}
	_, p, err := openLog(s.disk) // writes; its lock does not matter to readers
	if err != nil {
		t.Fatal(err)
	}
	reader, err := segment.Open("log", segment.Options{Log: logID(), FS: s.disk, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := pieces(t, reader); !slices.Equal(got, want) {
		t.Errorf("walk: got\n%q, want\n%q", got, want)
	}
	next := p.State().Reserved + 1
	if err := s.goOn(p, &next); err != nil {
		t.Fatal(err)
	}
	want = append(want, fmt.Sprint(last.last+1))
	if got := pieces(t, reader); !slices.Equal(got, want) {
		t.Errorf("walk after an append: got\n%q, want\n%q", got, want)
	}
	stop := errors.New("enough")
	if err := reader.Walk(t.Context(), "audit", func(segment.Piece) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("walk: got %v, want the function's error", err)
	}
	if err := reader.Walk(t.Context(), "git", nil); err == nil {
		t.Error("walk: got no error for a partition that is not there")
	}
}

// TestReadOnly reads beside a writer and changes nothing.
func TestReadOnly(t *testing.T) {
	disk := segmenttest.NewDisk(1)
	h := newHistory()
	_, p, err := openLog(disk)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := h.append(p, 10_000); err != nil {
			t.Fatal(err)
		}
	}
	reader, err := segment.Open("log", segment.Options{Log: logID(), FS: disk, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	ops := disk.Ops()
	r, err := reader.Open(t.Context(), "audit")
	if err != nil {
		t.Fatal(err)
	}
	seen, err := h.readAll(r)
	if err != nil || len(seen) != len(h.acked) {
		t.Errorf("read: got %d blocks, %v, want %d", len(seen), err, len(h.acked))
	}
	if err := r.Append(t.Context(), h.Block(1, 100)); err == nil {
		t.Error("append: got no error")
	}
	if err := r.Trim(t.Context(), 50); err == nil {
		t.Error("trim: got no error")
	}
	if _, err := reader.Open(t.Context(), "git"); err == nil {
		t.Error("open: got no error for a partition that is not there")
	}
	if err := reader.Close(); err != nil {
		t.Error(err)
	}
	if got := disk.Ops(); got != ops {
		t.Errorf("reading changed the disk: %d operations", got-ops)
	}
}

func TestOneWriter(t *testing.T) {
	dir := t.TempDir()
	e, err := segment.Open(dir, options(nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := segment.Open(dir, options(nil)); !errors.Is(err, segment.ErrLocked) {
		t.Errorf("second writer: got %v, want ErrLocked", err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e, err = segment.Open(dir, options(nil))
	if err != nil {
		t.Fatalf("open after close: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := segment.Open(dir, segment.Options{SegmentSize: 1000}); err == nil {
		t.Error("got no error for a segment of 1000 bytes")
	}
}

// TestManyFiles reads more files than are kept open, here and there and from the
// start, and trims under a reader.
func TestManyFiles(t *testing.T) {
	disk := segmenttest.NewDisk(1)
	h := newHistory()
	_, p, err := openLog(disk)
	if err != nil {
		t.Fatal(err)
	}
	const blocks = 400
	for range blocks {
		if err := h.append(p, 20_000); err != nil {
			t.Fatal(err)
		}
	}
	for i := range blocks {
		at := h.acked[(i*89)%blocks]
		s, err := p.Next(t.Context(), at+1)
		if err != nil || s.Header.First != at {
			t.Fatalf("next %d: got %d, %v", at+1, s.Header.First, err)
		}
	}
	if seen, err := h.readAll(p); err != nil || len(seen) != blocks {
		t.Fatalf("read: got %d blocks, %v, want %d", len(seen), err, blocks)
	}
	for i := range blocks - 20 {
		s, err := p.Next(t.Context(), h.acked[i])
		if err != nil {
			t.Fatal(err)
		}
		if i%10 == 5 {
			if err := p.Trim(t.Context(), h.acked[i+5]); err != nil {
				t.Fatal(err)
			}
		}
		if s.Header.First < h.acked[i] {
			t.Fatalf("next %d: got %d", h.acked[i], s.Header.First)
		}
	}
}

// TestTornEndGivesSpaceBack shows that a torn file keeps its bytes and not its
// unused space.
func TestTornEndGivesSpaceBack(t *testing.T) {
	s := newSample(t)
	last := s.places[len(s.places)-1]
	data := s.disk.Get(last.file)
	clear(data[last.offset+last.size-1000 : last.offset+last.size])
	s.disk.Put(last.file, data)
	torn := slices.Clone(data[:last.offset+last.size-1000])
	_, p, err := openLog(s.disk)
	if err != nil {
		t.Fatal(err)
	}
	st := p.State()
	if st.Reserved != last.last || st.Last.Last() != last.first-1 {
		t.Errorf("state: got last %d, reserved %d, want %d and %d", st.Last.Last(), st.Reserved, last.first-1, last.last)
	}
	next := st.Reserved + 1
	if err := s.goOn(p, &next); err != nil {
		t.Fatal(err)
	}
	got := s.disk.Get(last.file)
	if len(got) >= len(data) || len(got) < len(torn) || !slices.Equal(got[:len(torn)], torn) {
		t.Errorf("torn file: got %d bytes of %d, want them unchanged and the unused end freed", len(got), len(data))
	}
}

// TestUnfinishedFooter opens a log whose process ended before it gave back the
// space behind a footer: nothing is damaged, and the space is given back.
func TestUnfinishedFooter(t *testing.T) {
	s := newSample(t)
	whole := s.disk.Get(s.files[0])
	long := append(slices.Clone(whole), make([]byte, 100_000)...)
	s.disk.Put(s.files[0], long)
	reader, err := segment.Open("log", segment.Options{Log: logID(), FS: s.disk, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range pieces(t, reader) {
		if strings.Contains(e, " ") {
			t.Errorf("walk: got %q, want no damage", e)
		}
	}
	e, p, err := openLog(s.disk)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.State().Damage; len(got) > 0 {
		t.Errorf("damage: got %v, want none", got)
	}
	if got := s.disk.Get(s.files[0]); !slices.Equal(got, whole) {
		t.Errorf("file: got %d bytes, want the %d with which it was closed", len(got), len(whole))
	}
	if err := errors.Join(p.Close(), e.Close()); err != nil {
		t.Fatal(err)
	}
	long[len(long)-1] = 1
	s.disk.Put(s.files[0], long)
	if _, p, err = openLog(s.disk); err != nil {
		t.Fatal(err)
	}
	if got := p.State().Damage; len(got) != 1 || got[0].Cause != "bad footer" {
		t.Errorf("damage of a file with something behind its footer: got %v, want a bad footer", got)
	}
	if got := s.disk.Get(s.files[0]); !slices.Equal(got, long) {
		t.Error("a damaged file was changed")
	}
}
