package machine

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestDescribe(t *testing.T) {
	dir := t.TempDir()
	f, err := Describe(dir)
	if err != nil {
		t.Fatal(err)
	}
	if f.Sync.Count != syncCount || f.Sync.P50 <= 0 || f.Sync.P99 < f.Sync.P50 {
		t.Errorf("syncs: got %+v, want %d, and times that rise", f.Sync, syncCount)
	}
	if f.Commit == "" || f.Code == "" || f.Disk == "" || !strings.Contains(f.Machine, "cores") {
		t.Errorf("facts: got %+v, want none empty", f)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("folder: got %v, %v, want nothing left", left, err)
	}
	if _, err := Describe(dir + "/absent"); err == nil {
		t.Error("absent folder: got no error")
	}
}

func TestFileSystem(t *testing.T) {
	const mounts = "/dev/a / ext4 rw 0 0\n/dev/b /data xfs rw,noatime 0 0\nshort\n/dev/c /data/old btrfs ro 0 0\n"
	for path, want := range map[string]string{"/tmp/x": "ext4 (rw)", "/data": "xfs (rw,noatime)", "/data/new": "xfs (rw,noatime)",
		"/data/old/x": "btrfs (ro)", "/database": "ext4 (rw)"} {
		if got := fileSystem(path, mounts); got != want {
			t.Errorf("file system of %s: got %q, want %q", path, got, want)
		}
	}
	if got := fileSystem("/x", ""); got != unknown {
		t.Errorf("no mounts: got %q, want %q", got, unknown)
	}
}

func TestSyncIsPrinted(t *testing.T) {
	s := Sync{100, 150*time.Microsecond + 1, 2 * time.Millisecond}
	if got, want := s.String(), "150µs / 2ms (100 syncs)"; got != want {
		t.Errorf("sync: got %q, want %q", got, want)
	}
}
