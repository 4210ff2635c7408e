package backup_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/backup"
)

// TestBackupKeepsWhatTheOriginalLost: the copy of what the original has lost is the
// only one, for as many backups as it takes until somebody needs it.
func TestBackupKeepsWhatTheOriginalLost(t *testing.T) {
	o, dir := original{t, t.TempDir()}, t.TempDir()
	var sources []backup.Source
	for _, name := range []string{"log/1.seg", "log/2.seg", "log/3.seg", "log/4.seg"} {
		o.write(name, name)
		sources = append(sources, o.source(name, len(name), name < "log/4.seg"))
	}
	f, err := backup.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	var asked []string
	lost := func(name string) bool {
		asked = append(asked, name)
		return name > "log/2.seg"
	}
	if res, err := f.Write(t.Context(), manifest("a"), sources, lost); err != nil || len(res.Kept) > 0 || len(asked) > 0 {
		t.Fatalf("the first backup: got %v kept, asked for %q, error %v; want none", res.Kept, asked, err)
	}
	for range 2 {
		res, err := f.Write(t.Context(), manifest("a"), sources[3:], lost)
		if err != nil || len(res.Kept) != 1 || res.Kept[0].Name != "log/3.seg" {
			t.Errorf("kept: got %v, error %v; want log/3.seg", res.Kept, err)
		}
		wantFiles(t, dir, map[string]string{"log/3.seg": "log/3.seg", "log/4.seg": "log/4.seg"})
	}
	if got, want := strings.Join(asked, " "), "log/1.seg log/2.seg log/3.seg log/3.seg"; got != want {
		t.Errorf("asked for %s, want %s", got, want)
	}
	if err := os.Truncate(filepath.Join(dir, "log/3.seg"), 2); err != nil {
		t.Fatal(err)
	}
	if res, err := f.Write(t.Context(), manifest("a"), sources[3:], lost); err != nil || len(res.Kept) > 0 {
		t.Errorf("the copy was cut: got %v kept, error %v; want none", res.Kept, err)
	}
	wantFiles(t, dir, map[string]string{"log/4.seg": "log/4.seg"})
}
