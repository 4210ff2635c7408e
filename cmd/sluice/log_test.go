package main

import (
	"bufio"
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/segment"
)

// troubled is a disk on which reading a place of a file goes wrong.
type troubled struct {
	segment.FS
	offset, size int64
	last         int64                // where the newest block is
	read         func(b []byte) error // after a read of the place
}

func (d *troubled) Open(name string, write bool) (segment.File, error) {
	f, err := d.FS.Open(name, write)
	if err != nil {
		return nil, err
	}
	return troubledFile{f, d}, nil
}

type troubledFile struct {
	segment.File
	disk *troubled
}

func (f troubledFile) ReadAt(b []byte, offset int64) (int, error) {
	n, err := f.File.ReadAt(b, offset)
	if d := f.disk; offset < d.offset+d.size && d.offset < offset+int64(len(b)) {
		if err := d.read(b); err != nil {
			return 0, err
		}
	}
	return n, err
}

// storedBlocks writes a log of some blocks of 100 events each, and returns it as it is
// read on a troubled disk, with the place of the third block.
func storedBlocks(t *testing.T, disk *troubled) *storedLog {
	t.Helper()
	id, path := newLogID(), filepath.Join(t.TempDir(), logFolder)
	err := withLog(t.Context(), path, id, func(ctx context.Context, l *eventlog.Log) error {
		for n := range 5 {
			batch := &eventlog.Batch{}
			for i := range 100 {
				payload, env := selftestEvent(100*n + i)
				batch.Add(payload, env, sluice.SourceSluice)
			}
			if _, err := l.Append(ctx, map[string]*eventlog.Batch{string(sluice.Audit): batch}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	disk.FS = segment.OS()
	l := &storedLog{id: id}
	if l.engine, err = segment.Open(path, segment.Options{Log: id, ReadOnly: true, FS: disk}); err != nil {
		t.Fatal(err)
	}
	blocks := 0
	err = l.engine.Walk(t.Context(), string(sluice.Audit), func(p segment.Piece) error {
		if blocks++; blocks == 3 { // its second half, which is read with the body alone
			disk.offset, disk.size = p.Offset+p.Size/2, p.Size/2
		}
		disk.last = p.Offset
		return nil
	})
	if err != nil || blocks != 5 {
		t.Fatalf("walk: got %d blocks, error %v, want 5", blocks, err)
	}
	return l
}

// A block that the server is just writing is no damage.
func TestVerifyWaitsForTheNewestBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads := 0
		disk := &troubled{read: func([]byte) error { return nil }}
		l := storedBlocks(t, disk)
		disk.read = func(b []byte) error {
			if reads++; reads < 4 {
				clear(b[len(b)-1000:])
			}
			return nil
		}
		v := verdict{Partition: string(sluice.Audit)}
		if err := l.verify(t.Context(), &v, &Env{}); err != nil || len(v.Damage) > 0 || v.Events != 500 || reads < 4 {
			t.Errorf("verify: got %+v after %d reads, error %v; want all 500 events", v, reads, err)
		}
	})
}

// A block that comes between two reads of the end of the log is no damage either.
func TestVerifyLooksAgainAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &troubled{read: func([]byte) error { return nil }}
		l := storedBlocks(t, disk)
		disk.offset, disk.size = disk.last, 1
		late := func() {
			reads := 0
			disk.read = func(b []byte) error {
				if reads++; reads == 1 {
					clear(b)
				}
				return nil
			}
		}
		late()
		once := verdict{Partition: string(sluice.Audit)}
		if err := l.verify(t.Context(), &once, &Env{}); err != nil || len(once.Damage) != 1 || !once.atEnd() {
			t.Errorf("verify once: got %+v, error %v, want damage at the end", once, err)
		}
		late()
		if v, err := l.settled(t.Context(), string(sluice.Audit), &Env{}); err != nil || !v.OK || v.Events != 500 {
			t.Errorf("verify: got %+v, error %v; want all 500 events", v, err)
		}
		late()
		var out, stderr bytes.Buffer
		w := bufio.NewWriter(&out)
		lost, err := l.cat(t.Context(), string(sluice.Audit), &logOptions{}, w, &Env{Stderr: &stderr})
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(out.String(), "\n"); err != nil || lost != 0 || n != 500 || stderr.Len() > 0 {
			t.Errorf("cat: got %d events, %d ranges lost, error %v and %q; want all 500", n, lost, err, stderr.String())
		}
	})
}

// A place of the disk that cannot be read is named, and all else is read.
func TestVerifyNamesWhatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &troubled{read: func([]byte) error { return nil }}
		l := storedBlocks(t, disk)
		disk.read = func([]byte) error { return syscall.EIO }
		v := verdict{Partition: string(sluice.Audit)}
		if err := l.verify(t.Context(), &v, &Env{}); err != nil || len(v.Damage) != 1 || v.Damage[0].First != 201 || v.Damage[0].Last != 300 || v.Events != 400 || v.OK {
			t.Errorf("verify: got %+v, error %v; want 201 to 300 named", v, err)
		}
		var out, stderr bytes.Buffer
		w := bufio.NewWriter(&out)
		lost, err := l.cat(t.Context(), string(sluice.Audit), &logOptions{}, w, &Env{Stderr: &stderr})
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(out.String(), "\n"); err != nil || lost != 1 || n != 400 || !strings.Contains(stderr.String(), "events 201 to 300") {
			t.Errorf("cat: got %d events, %d ranges lost, error %v and %q; want 400 and 1", n, lost, err, stderr.String())
		}
		lost, err = l.cat(t.Context(), string(sluice.Audit), &logOptions{From: logBound{Seq: 301}}, w, &Env{Stderr: &stderr})
		if err != nil || lost != 0 {
			t.Errorf("cat behind it: got %d ranges lost, error %v, want none", lost, err)
		}
	})
}
