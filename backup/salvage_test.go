package backup_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sluicelog/sluice/backup"
)

// unreadable is a file that opens, and whose first megabytes cannot be read: nothing
// lies at these addresses of the process.
const unreadable = "/proc/self/mem"

// TestBackupOfASickDisk: what cannot be read comes from the backup before, as far as
// that has it, and the rest is told. The next backup copies the file again.
func TestBackupOfASickDisk(t *testing.T) {
	if f, err := os.Open(unreadable); err != nil {
		t.Fatalf("%s has to be there: %v", unreadable, err)
	} else if _, err := f.Read(make([]byte, 1)); !errors.Is(err, syscall.EIO) {
		t.Fatalf("read %s: got %v, want an error of the disk", unreadable, err)
	}
	o, dir := original{t, t.TempDir()}, t.TempDir()
	text := strings.Repeat("a good block, ", 1000)
	o.write("1.seg", text)
	sources := func(path string, bytes int64, closed, salvage bool) []backup.Source {
		return []backup.Source{{Name: "log/audit/1.seg", Path: path, Bytes: bytes, Closed: closed, Salvage: salvage}}
	}
	if _, err := write(t.Context(), dir, manifest("a"), sources(filepath.Join(o.dir, "1.seg"), 5000, false, true)); err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]backup.Source{sources(unreadable, 10_000, true, false), sources(unreadable, 2<<20, true, true)} {
		if _, err := write(t.Context(), dir, manifest("a"), bad); !errors.Is(err, syscall.EIO) {
			t.Errorf("%d bytes of a file that cannot be read: got %v, want %v", bad[0].Bytes, err, syscall.EIO)
		}
	}
	wantFiles(t, dir, map[string]string{"log/audit/1.seg": text[:5000]})

	res, err := write(t.Context(), dir, manifest("a"), sources(unreadable, 10_000, true, true))
	if err != nil || len(res.Lost) != 1 || res.Lost["log/audit/1.seg"] != 10_000-4096 {
		t.Errorf("salvaged: got %v lost, error %v; want all but the page that the backup before has", res.Lost, err)
	}
	wantFiles(t, dir, map[string]string{"log/audit/1.seg": text[:4096] + string(bytes.Repeat([]byte{0xff}, 10_000-4096))})

	res, err = write(t.Context(), dir, manifest("a"), sources(filepath.Join(o.dir, "1.seg"), 10_000, true, true))
	if err != nil || len(res.Lost) > 0 {
		t.Errorf("readable again: got %v lost, error %v", res.Lost, err)
	}
	wantFiles(t, dir, map[string]string{"log/audit/1.seg": text[:10_000]})
}
