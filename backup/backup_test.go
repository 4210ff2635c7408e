package backup_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/backup"
)

// original is a folder of files to be backed up.
type original struct {
	t   *testing.T
	dir string
}

func (o original) write(name, text string) {
	o.t.Helper()
	path := filepath.Join(o.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		o.t.Fatal(err)
	}
}

func (o original) source(name string, bytes int, closed bool) backup.Source {
	return backup.Source{Name: name, Path: filepath.Join(o.dir, name), Bytes: int64(bytes), Closed: closed}
}

// write opens a backup's folder and writes to it.
func write(ctx context.Context, dir string, m backup.Manifest, sources []backup.Source) (res backup.Result, err error) {
	f, err := backup.Open(dir)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return f.Write(ctx, m, sources, func(string) bool { return false })
}

func manifest(log string) backup.Manifest { return backup.Manifest{Log: log, Program: "test"} }

// wantFiles compares what a backup extracts with texts by name.
func wantFiles(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	m, err := backup.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := backup.Verify(t.Context(), dir, &m); err != nil {
		t.Errorf("verify: %v", err)
	}
	to := t.TempDir()
	got := map[string]string{}
	for _, f := range m.Files {
		path := filepath.Join(to, f.Name)
		if err := backup.Extract(t.Context(), dir, f, path); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got[f.Name] = string(text)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("files: got %v, want %v", got, want)
	}
}

func TestBackupAddsWhatIsNew(t *testing.T) {
	o, dir := original{t, t.TempDir()}, filepath.Join(t.TempDir(), "deep", "backup")
	o.write("log/audit/1.seg", "closed")
	o.write("log/audit/2.seg", "growing and more")
	o.write("control-1.db", "state")
	first := []backup.Source{o.source("control-1.db", 5, false), o.source("log/audit/1.seg", 6, true), o.source("log/audit/2.seg", 7, false)}
	res, err := write(t.Context(), dir, manifest("a"), first)
	if err != nil || res.Copied != 3 {
		t.Fatalf("first backup: got %d copied, error %v; want 3", res.Copied, err)
	}
	wantFiles(t, dir, map[string]string{"control-1.db": "state", "log/audit/1.seg": "closed", "log/audit/2.seg": "growing"})

	o.write("control-2.db", "later")
	second := []backup.Source{o.source("control-2.db", 5, false), o.source("log/audit/1.seg", 6, true), o.source("log/audit/2.seg", 16, true)}
	res, err = write(t.Context(), dir, manifest("a"), second)
	if err != nil || res.Copied != 2 || res.Removed != 1 {
		t.Fatalf("second backup: got %d copied and %d removed, error %v; want 2 and 1", res.Copied, res.Removed, err)
	}
	wantFiles(t, dir, map[string]string{"control-2.db": "later", "log/audit/1.seg": "closed", "log/audit/2.seg": "growing and more"})
}

// TestBackupThatIsCutOff: what was complete stays so.
func TestBackupThatIsCutOff(t *testing.T) {
	o, dir := original{t, t.TempDir()}, t.TempDir()
	o.write("log/1.seg", "block 1, block 2")
	o.write("control-1.db", "state")
	if _, err := write(t.Context(), dir, manifest("a"), []backup.Source{o.source("control-1.db", 5, false), o.source("log/1.seg", 7, false)}); err != nil {
		t.Fatal(err)
	}
	o.write("control-2.db", "later")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := write(ctx, dir, manifest("a"), []backup.Source{o.source("control-2.db", 5, false)}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: got %v", err)
	}
	_, err := write(t.Context(), dir, manifest("a"), []backup.Source{
		o.source("control-2.db", 5, false), o.source("log/1.seg", 16, false), o.source("log/2.seg", 100, false),
	})
	if err == nil {
		t.Error("backup of a file that is not there: got no error")
	}
	wantFiles(t, dir, map[string]string{"control-1.db": "state", "log/1.seg": "block 1"})
	if _, err := write(t.Context(), dir, manifest("a"), []backup.Source{o.source("control-2.db", 5, false), o.source("log/1.seg", 16, true)}); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, dir, map[string]string{"control-2.db": "later", "log/1.seg": "block 1, block 2"})
	left, err := filepath.Glob(filepath.Join(dir, "*.partial"))
	if err != nil || len(left) > 0 {
		t.Errorf("left over: got %v, %v", left, err)
	}
}

func TestBackupRefusesFolders(t *testing.T) {
	o := original{t, t.TempDir()}
	o.write("control-1.db", "state")
	sources := []backup.Source{o.source("control-1.db", 5, false)}
	taken := t.TempDir()
	if err := os.WriteFile(filepath.Join(taken, "thesis.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := write(t.Context(), taken, manifest("a"), sources); err == nil || !strings.Contains(err.Error(), "thesis.txt") {
		t.Errorf("folder with something else: got %v", err)
	}
	rescued := original{t, t.TempDir()} // the log of a server, and no backup
	rescued.write("log/audit/1.seg", "closed")
	if _, err := write(t.Context(), rescued.dir, manifest("a"), sources); err == nil || !strings.Contains(err.Error(), "something else (log)") {
		t.Errorf("folder with a log: got %v", err)
	}
	if all, err := filepath.Glob(filepath.Join(rescued.dir, "*")); err != nil || len(all) != 1 {
		t.Errorf("folder with a log: got %q in it (%v), want what was there", all, err)
	}
	dir := t.TempDir()
	if _, err := write(t.Context(), dir, manifest("a"), sources); err != nil {
		t.Fatal(err)
	}
	if _, err := write(t.Context(), dir, manifest("b"), sources); err == nil || !strings.Contains(err.Error(), "another log") {
		t.Errorf("backup of another log: got %v", err)
	}
}

// TestBackupKeepsWhatIsNewer: an older state that was put back does not take the place
// of what the backup has of the time behind it.
func TestBackupKeepsWhatIsNewer(t *testing.T) {
	o, dir := original{t, t.TempDir()}, t.TempDir()
	o.write("log/audit/1.seg", "closed")
	o.write("log/audit/2.seg", "newer")
	first, second := o.source("log/audit/1.seg", 6, true), o.source("log/audit/2.seg", 5, false)
	last := func(numbers map[string]uint64) backup.Manifest {
		m := manifest("a")
		m.Last = numbers
		return m
	}
	if _, err := write(t.Context(), dir, last(map[string]uint64{"audit": 20}), []backup.Source{first, second}); err != nil {
		t.Fatal(err)
	}
	for _, older := range []map[string]uint64{{"audit": 19, "git": 5}, {}} {
		if _, err := write(t.Context(), dir, last(older), []backup.Source{first}); err == nil || !strings.Contains(err.Error(), "up to number 20") {
			t.Errorf("a log with %v: got %v", older, err)
		}
		wantFiles(t, dir, map[string]string{"log/audit/1.seg": "closed", "log/audit/2.seg": "newer"})
	}
	if _, err := write(t.Context(), dir, last(map[string]uint64{"audit": 20, "git": 1}), []backup.Source{second}); err != nil {
		t.Errorf("the same log, of which retention has removed something: %v", err)
	}
}

func TestDamagedBackups(t *testing.T) {
	list := func(files string) string { return `{"format":1,"log":"a","files":[` + files + `]}` }
	for name, test := range map[string]struct{ file, text string }{
		"changed file":      {"control-1.db", "stale"},
		"short file":        {"control-1.db", "sta"},
		"no list":           {backup.ManifestName, "{"},
		"unknown format":    {backup.ManifestName, `{"format":2}`},
		"path that leaves":  {backup.ManifestName, list(`{"name":"../x","bytes":1}`)},
		"path from the top": {backup.ManifestName, list(`{"name":"/etc/passwd","bytes":1}`)},
		"negative size":     {backup.ManifestName, list(`{"name":"x","bytes":-1}`)},
	} {
		t.Run(name, func(t *testing.T) {
			o, dir := original{t, t.TempDir()}, t.TempDir()
			o.write("control-1.db", "state")
			if _, err := write(t.Context(), dir, manifest("a"), []backup.Source{o.source("control-1.db", 5, false)}); err != nil {
				t.Fatal(err)
			}
			original{t, dir}.write(test.file, test.text)
			m, err := backup.Read(dir)
			if err == nil {
				err = backup.Verify(t.Context(), dir, &m)
				for _, f := range m.Files {
					to := filepath.Join(t.TempDir(), "out")
					if extracted := backup.Extract(t.Context(), dir, f, to); extracted == nil {
						t.Errorf("extract %s: got no error", f.Name)
					} else if _, err := os.Stat(to); err == nil {
						t.Errorf("extract %s: the file is there all the same", f.Name)
					}
				}
			}
			if err == nil {
				t.Error("got no error")
			}
		})
	}
}

// meddling is a context that does something when it is asked for the nth time, which
// a copy does before it reads.
type meddling struct {
	context.Context
	left int
	do   func()
}

func (m *meddling) Err() error {
	if m.left--; m.left == 0 {
		m.do()
	}
	return m.Context.Err()
}

// TestBackupLeavesNothingOut: only a source that is gone may be missing. What cannot
// be written is an error, whatever that looks like.
func TestBackupLeavesNothingOut(t *testing.T) {
	o, dir := original{t, t.TempDir()}, t.TempDir()
	o.write("log/1.seg", "closed")
	o.write("log/2.seg", "closed, too")
	swept := &meddling{t.Context(), 1, func() {
		if err := os.Remove(filepath.Join(dir, "log/1.seg.partial")); err != nil {
			t.Error(err)
		}
	}}
	sources := []backup.Source{o.source("log/1.seg", 6, true), o.source("log/2.seg", 11, true)}
	if res, err := write(swept, dir, manifest("a"), sources); err == nil {
		t.Errorf("backup whose copy vanished: got no error, and the files %v", res.Manifest.Files)
	}
	if err := os.Remove(filepath.Join(o.dir, "log/1.seg")); err != nil {
		t.Fatal(err)
	}
	if _, err := write(t.Context(), dir, manifest("a"), sources); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, dir, map[string]string{"log/2.seg": "closed, too"})
}

// TestBackupsOneAtATime: each removes what it does not list, which is what another
// one has copied.
func TestBackupsOneAtATime(t *testing.T) {
	o, dir := original{t, t.TempDir()}, t.TempDir()
	o.write("log/1.seg", "closed")
	o.write("log/2.seg", "closed, too")
	first, second := o.source("log/1.seg", 6, true), o.source("log/2.seg", 11, true)
	if _, err := write(t.Context(), dir, manifest("a"), nil); err != nil {
		t.Fatal(err)
	}
	beside := &meddling{t.Context(), 3, func() {
		if _, err := write(t.Context(), dir, manifest("a"), []backup.Source{second}); err == nil || !strings.Contains(err.Error(), "another backup") {
			t.Errorf("backup beside another one: got %v", err)
		}
	}}
	if _, err := write(beside, dir, manifest("a"), []backup.Source{first, second}); err != nil {
		t.Fatal(err)
	}
	if beside.left > 0 {
		t.Fatal("there was no backup beside the first one")
	}
	wantFiles(t, dir, map[string]string{"log/1.seg": "closed", "log/2.seg": "closed, too"})
}

// TestFirstBackupThatIsCutOff: what it copied is no reason to refuse the folder.
func TestFirstBackupThatIsCutOff(t *testing.T) {
	o, dir := original{t, t.TempDir()}, t.TempDir()
	o.write("control-1.db", "state")
	o.write("sluice.key", "key")
	sources := []backup.Source{o.source("control-1.db", 5, false), o.source("sluice.key", 3, false), o.source("log/1.seg", 5, false)}
	if _, err := write(t.Context(), dir, manifest("a"), sources); err == nil {
		t.Fatal("backup of a file that is not there: got no error")
	}
	o.write("log/1.seg", "block")
	if _, err := write(t.Context(), dir, manifest("a"), sources); err != nil {
		t.Fatalf("the next backup: %v", err)
	}
	wantFiles(t, dir, map[string]string{"control-1.db": "state", "sluice.key": "key", "log/1.seg": "block"})
	if all, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(all) > 0 {
		t.Errorf("left over: got %q, error %v", all, err)
	}
	data := t.TempDir()
	original{t, data}.write("control.db", "of a server")
	original{t, data}.write("sluice.key", "of a server")
	if _, err := write(t.Context(), data, manifest("a"), sources); err == nil {
		t.Error("backup into a server's folder: got no error")
	}
}

// TestBackupRemovesNothingElse: only what backups wrote goes from the folder, not a
// copy of it that lies in it, or a note.
func TestBackupRemovesNothingElse(t *testing.T) {
	o, dir := original{t, t.TempDir()}, t.TempDir()
	o.write("log/audit/1.seg", "closed")
	o.write("control-2.db", "state")
	first := []backup.Source{o.source("control-2.db", 5, false), o.source("log/audit/1.seg", 6, true)}
	if _, err := write(t.Context(), dir, manifest("a"), first); err != nil {
		t.Fatal(err)
	}
	others := []string{"README", "key.copy", "monday/backup.json", "monday/control-2.db", "monday/log/audit/1.seg", "log/notes.txt"}
	ours := []string{"control-1.db", "log/audit/0.seg", "log/audit/2.seg.partial", "backup.json.partial"} // of a backup that was cut off
	for _, name := range append(others, ours...) {
		original{t, dir}.write(name, "here")
	}
	o.write("control-3.db", "later")
	res, err := write(t.Context(), dir, manifest("a"), []backup.Source{o.source("control-3.db", 5, false), o.source("log/audit/1.seg", 6, true)})
	if err != nil || res.Removed != 3 {
		t.Errorf("second backup: got %d files removed and error %v, want 3", res.Removed, err)
	}
	for name, want := range map[string]bool{"control-2.db": false, "README": true} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s: there is %t, want %t", name, err == nil, want)
		}
	}
	for _, name := range others {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("what no backup wrote: %v", err)
		}
	}
	for _, name := range ours {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("what a backup left that was cut off is there: %s", name)
		}
	}
}
