package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What a backup that was killed left beside its target goes with a later one; what
// may be of one that still runs stays, and so does what is not of a backup.
func TestBackupSweepsWhatKilledOnesLeft(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	for name, age := range map[string]time.Duration{snapshotPrefix + "1": 25 * time.Hour, snapshotPrefix + "2": time.Hour, "other": 99 * time.Hour} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Join(path, "inside"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if err := sweepSnapshots(dir, now); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{snapshotPrefix + "1": false, snapshotPrefix + "2": true, "other": true} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s: there is %t, want %t", name, err == nil, want)
		}
	}
}
