package crash

import (
	"bytes"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/sluicelog/sluice/sqlite"

	_ "modernc.org/sqlite" // to make a file as the first schema had it
)

// command runs one of the program's commands in the place of the server. In the
// life that dies it may die, and says so. What it prints is said on failure.
func (w *world) command(args ...string) (out []byte, died bool, err error) {
	w.Helper()
	cmd := exec.CommandContext(w.Context(), w.Binary, args...)
	if w.armed && !w.died {
		cmd.Env = append(os.Environ(), "SLUICE_FAILPOINT="+w.death)
	}
	out, err = cmd.CombinedOutput()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if ok && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		w.died = true
		return out, true, nil
	}
	return out, false, err
}

// succeed runs a command until it neither dies nor fails.
func (w *world) succeed(args ...string) {
	w.Helper()
	for range 2 {
		out, died, err := w.command(args...)
		if err != nil {
			w.Fatalf("sluice %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		if !died {
			return
		}
	}
}

// wholeSnapshots looks at the snapshots of the control state: what a crash has left
// of one is gone, and all that have their name are whole.
func wholeSnapshots(w *world) {
	all, err := filepath.Glob(filepath.Join(w.Data, "snapshots", "*"))
	if err != nil || len(all) == 0 {
		w.Errorf("snapshots: got %q (%v), want one at least", all, err)
	}
	for _, path := range all {
		copied := filepath.Join(w.TempDir(), "control.db")
		if err := sqlite.Copy(w.Context(), path, copied); err != nil || strings.HasSuffix(path, ".partial") {
			w.Errorf("%s was left: %v", path, err)
		}
	}
}

// goBack gives control.db the tables of the first schema, which had no checksums.
func goBack(w *world) {
	w.begin()
	w.settle()
	w.stop()
	db, err := sql.Open("sqlite", filepath.Join(w.Data, "control.db"))
	if err != nil {
		w.Fatal(err)
	}
	for _, statement := range []string{
		"ALTER TABLE meta RENAME TO meta_2",
		"ALTER TABLE records RENAME TO records_2",
		"CREATE TABLE meta(name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) STRICT, WITHOUT ROWID",
		"CREATE TABLE records(key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL, version INTEGER NOT NULL) STRICT, WITHOUT ROWID",
		"INSERT INTO meta SELECT name, iif(name = 'schema', 1, value) FROM meta_2",
		"INSERT INTO records SELECT key, value, version FROM records_2",
		"DROP TABLE meta_2", "DROP TABLE records_2",
	} {
		if _, err := db.ExecContext(w.Context(), statement); err != nil {
			w.Fatalf("%s: %v", statement, err)
		}
	}
	if err := db.Close(); err != nil {
		w.Fatal(err)
	}
}

// leaveTail puts unused space behind the footer of a closed file, as a crash does
// that comes before the space is given back.
func leaveTail(w *world) {
	w.begin()
	for range 6 {
		w.post(post{count: 60, size: 24 << 10, audit: true})
	}
	w.settle()
	w.stop()
	files, err := filepath.Glob(filepath.Join(w.Data, "log", "audit", "*.seg"))
	if err != nil || len(files) < 2 {
		w.Fatalf("files: got %q (%v), want 2 or more", files, err)
	}
	info, err := os.Stat(files[0])
	if err == nil {
		err = os.Truncate(files[0], info.Size()+1<<20)
	}
	if err != nil {
		w.Fatal(err)
	}
}

// leaveEmpty leaves a file of the log that never held a block, as a crash does that
// comes before the first one.
func leaveEmpty(w *world) {
	w.begin()
	w.settle()
	w.stop()
	if err := os.WriteFile(filepath.Join(w.Data, "log", "audit", "00000000000099999999.seg"), nil, 0o600); err != nil {
		w.Fatal(err)
	}
}

// damageControl stops the server, which leaves a snapshot, and makes a page of
// control.db one that cannot be read.
func damageControl(w *world) {
	w.begin()
	w.settle()
	w.stop()
	f, err := os.OpenFile(filepath.Join(w.Data, "control.db"), os.O_WRONLY, 0)
	if err != nil {
		w.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("Z"), 4096); err != nil {
		w.Fatal(err)
	}
	if err := f.Close(); err != nil {
		w.Fatal(err)
	}
}

// restoreControl brings the snapshot back. A command that died is repeated, as the
// server's words have it; it may find nothing left to do.
func restoreControl(w *world) {
	for range 2 {
		out, died, err := w.command("control", "restore", "--data", w.Data)
		if err != nil && (!w.died || !bytes.Contains(out, []byte("is sound"))) {
			w.Fatalf("sluice control restore: %v\n%s", err, out)
		}
		if !died {
			break
		}
	}
	w.start()
	w.post(post{count: 20})
}

// backUp makes two backups into the same folder, of which the second removes what
// only the first has. Whenever there is a list of files, what it names is whole.
func backUp(w *world) {
	to := filepath.Join(w.TempDir(), "backup")
	for range 2 {
		for died := true; died; {
			var out []byte
			var err error
			if out, died, err = w.command("backup", "--data", w.Data, "--to", to); err != nil {
				w.Fatalf("sluice backup: %v\n%s", err, out)
			}
			if _, err := os.Stat(filepath.Join(to, "backup.json")); err == nil || !died {
				w.succeed("restore", "--from", to, "--check")
			}
		}
	}
	all, err := filepath.Glob(filepath.Join(to, "*"))
	if err != nil || len(all) != 3 {
		w.Errorf("the backup has %q (%v), want the list, the log and one copy of the control state", all, err)
	}
	w.start()
	w.post(post{count: 20})
}

// haveBackup makes one with the key, and loses the data.
func haveBackup(w *world) {
	w.begin()
	w.settle()
	w.stop()
	w.succeed("backup", "--with-key", "--data", w.Data, "--to", w.Data+".backup")
	if err := os.RemoveAll(w.Data); err != nil {
		w.Fatal(err)
	}
}

// restoreBackup restores it. What died is begun again with an empty folder, unless
// all of it is in place: the control state comes last.
func restoreBackup(w *world) {
	for {
		out, died, err := w.command("restore", "--from", w.Data+".backup", "--data", w.Data)
		if err != nil {
			w.Fatalf("sluice restore: %v\n%s", err, out)
		}
		_, err = os.Stat(filepath.Join(w.Data, "control.db"))
		if !died || err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			w.Fatal(err)
		}
		if err := os.RemoveAll(w.Data); err != nil {
			w.Fatal(err)
		}
	}
	w.start()
	w.post(post{count: 20})
}
