package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/backup"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/secret"
	"github.com/sluicelog/sluice/segment"
)

// wantRun runs a command that has to succeed and print something.
func wantRun(t *testing.T, want string, args ...string) {
	t.Helper()
	if res := sluiceRun(t.Context(), nil, "", args...); res.code != exitOK || !strings.Contains(res.stdout, want) {
		t.Fatalf("sluice %s: got %+v, want %q", strings.Join(args, " "), res, want)
	}
}

// A backup of a running server, and another one into the same folder, are restored
// into a log of its own identity: streams go on where they stood, tokens and
// secrets work, nothing is missing.
func TestBackupAndRestore(t *testing.T) {
	got := &arrivals{ids: map[string]int{}}
	receiver := httptest.NewServer(got)
	defer receiver.Close()
	data, token, stream := prepared(t, receiver.URL)
	to := filepath.Join(t.TempDir(), "backup")
	s := startServer(t, data, http.DefaultClient)
	wantRun(t, "is complete", "backup", "--data", data, "--to", to)
	s.post(30, 40)
	s.settled(stream.ID)
	wantRun(t, "The key file is not in it", "backup", "--data", data, "--to", to)
	s.post(40, 50) // after the backup
	stopped(t, s)
	wantRun(t, "is whole", "restore", "--from", to, "--check")
	t.Chdir(t.TempDir())
	wantRun(t, "is complete", "backup", "--data", data, "--to", ".")

	again := filepath.Join(t.TempDir(), "again")
	if res := serveOnce(t, "--data", again, "--existing"); res.code == exitOK {
		t.Fatal("served a folder that is not there")
	}
	wantRun(t, "new identity", "restore", "--from", to, "--data", again, "--key-file", filepath.Join(data, keyName))
	if res := sluiceRun(t.Context(), nil, "", "restore", "--from", to, "--data", again); res.code == exitOK || !strings.Contains(res.stderr, "not empty") {
		t.Errorf("restore into a folder with a log: got %+v", res)
	}
	got.mu.Lock()
	clear(got.ids)
	got.mu.Unlock()
	s = startServer(t, again, http.DefaultClient, "--existing")
	s.post(40, 60)
	v := s.settled(stream.ID)
	if v.Ledger["expired"] != 0 || v.Ledger["pending"] != 0 || v.Ledger["delivered"] < 60 {
		t.Errorf("ledger of the restored stream: got %v, want all of at least 60 delivered", v.Ledger)
	}
	for i := 40; i < 60; i++ {
		if got.count(fmt.Sprintf("e%d", i)) == 0 {
			t.Errorf("event e%d did not arrive after the restoration", i)
		}
	}
	if code := postAs(t, s, token); code != http.StatusOK {
		t.Errorf("post with the token of before: got %d", code)
	}
	stopped(t, s)
	wantRun(t, "", "log", "verify", "--data", again)
	res := sluiceRun(t.Context(), nil, "", "log", "cat", "--data", again)
	if n := strings.Count(res.stdout, `"installation.restore"`); n != 1 {
		t.Errorf("events that tell of the restoration: got %d, want 1", n)
	}
	// The log without its control state is still known as one.
	if err := os.Remove(filepath.Join(again, controlFile)); err != nil {
		t.Fatal(err)
	}
	wantRun(t, `"e59"`, "log", "cat", "--data", again)
}

// watched is a context that does something whenever it is asked for its end, which
// a backup does in each of its steps, and its queries by themselves.
type watched struct {
	context.Context
	mu *sync.Mutex // held while do runs
	do func()
}

func (w watched) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.do()
	return w.Context.Err()
}

// A backup writes to its folder alone: what that lies in may be the root of a
// container, or another disk.
func TestBackupKeepsToItsFolder(t *testing.T) {
	data, parent := filepath.Join(t.TempDir(), "data"), t.TempDir()
	stopped(t, startServer(t, data, http.DefaultClient))
	looks, found := 0, map[string]bool{}
	var mu sync.Mutex
	ctx := watched{t.Context(), &mu, func() {
		entries, err := os.ReadDir(parent)
		if err != nil {
			t.Error(err)
		}
		for looks++; len(entries) > 0; entries = entries[1:] {
			found[entries[0].Name()] = true
		}
	}}
	to := filepath.Join(parent, "backup")
	if err := makeBackup(ctx, backupOptions{Data: data, To: to}, &Env{Stdout: io.Discard}); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(found) != 1 || !found["backup"] || looks < 3 {
		t.Errorf("looked %d times: got %v, want the backup alone", looks, found)
	}
	if left, err := filepath.Glob(filepath.Join(to, ".*")); err != nil || len(left) > 0 {
		t.Errorf("left in the backup: got %q, error %v", left, err)
	}
}

// Control state is copied to a local disk where that of the backup cannot hold it.
func TestCopyControlOfABackup(t *testing.T) {
	data, absent, local := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "absent"), t.TempDir()
	stopped(t, startServer(t, data, http.DefaultClient))
	original := filepath.Join(data, controlFile)
	if path, err := copyControl(t.Context(), original, []string{absent, local}); err != nil || filepath.Dir(path) != local {
		t.Errorf("got %q, error %v, want a copy in %s", path, err, local)
	}
	if path, err := copyControl(t.Context(), original, []string{absent}); err == nil {
		t.Errorf("without a folder: got %q", path)
	}
	if err := os.Truncate(original, 5000); err != nil {
		t.Fatal(err)
	}
	if path, err := copyControl(t.Context(), original, []string{t.TempDir(), t.TempDir()}); err == nil || strings.Count(err.Error(), "copy control state") != 1 {
		t.Errorf("damaged: got %q, error %v, want it told once", path, err)
	}
}

// backupAt makes a backup with the key of data in to, and does something in one of its
// steps. It reports whether it came that far.
func backupAt(t *testing.T, data, to string, step int, do func(cancel func())) (did bool, err error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	look := watched{ctx, &mu, func() {
		if step--; step == 0 {
			did = true
			do(cancel)
		}
	}}
	err = makeBackup(look, backupOptions{Data: data, To: to, WithKey: true}, &Env{Stdout: io.Discard})
	mu.Lock()
	defer mu.Unlock()
	return did, err
}

// A backup holds a whole key file, whenever the key is rotated meanwhile; and one that
// is cut off leaves the one before, which has another key file.
func TestBackupWhileTheKeyIsRotated(t *testing.T) {
	data, to := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "backup")
	stopped(t, startServer(t, data, http.DefaultClient))
	rotate := func(func()) {
		ring, err := secret.OpenKeyFile(filepath.Join(data, keyName))
		if err == nil {
			err = ring.Rotate()
		}
		if err != nil {
			t.Error(err)
		}
	}
	const stride = 6 // looks at all steps take long
	step := 1
	for did := true; did; step += stride {
		var err error
		if did, err = backupAt(t, data, to, step, rotate); err != nil {
			t.Fatalf("rotated at step %d: %v", step, err)
		}
		keys, err := filepath.Glob(filepath.Join(to, "sluice*.key"))
		if err != nil || len(keys) != 1 {
			t.Fatalf("key files: got %q, error %v, want one", keys, err)
		}
		if _, err := secret.OpenKeyFile(keys[0]); err != nil {
			t.Errorf("rotated at step %d: the copy of the key file: %v", step, err)
		}
	}
	if step < 2*stride {
		t.Errorf("a backup has less than %d steps, want more", step)
	}
	for step -= stride; step > 0; step -= stride {
		rotate(nil)
		if _, err := backupAt(t, data, to, step, func(cancel func()) { cancel() }); err == nil {
			t.Logf("cut off at step %d: it was complete", step)
		}
		wantRun(t, "is whole", "restore", "--from", to, "--check")
	}
	again := filepath.Join(t.TempDir(), "again")
	wantRun(t, "new identity", "restore", "--from", to, "--data", again)
	if _, err := secret.OpenKeyFile(filepath.Join(again, keyName)); err != nil {
		t.Errorf("the restored key: %v", err)
	}
}

// A key file that is older than the backup restores it, and that secrets are lost with
// it is said.
func TestRestoreWithAnOldKeyFile(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := startServer(t, data, http.DefaultClient)
	if code := s.call("POST", "/api/v1/streams", `{"namespace":"acme","kind":"http","config":{"url":"http://127.0.0.1:1/in"},"active":false}`, nil); code != http.StatusCreated {
		t.Fatalf("create: got status %d", code)
	}
	stopped(t, s)
	path := filepath.Join(data, keyName)
	old := filepath.Join(t.TempDir(), "old.key")
	if err := copyKey(path, old); err != nil {
		t.Fatal(err)
	}
	ring, err := secret.OpenKeyFile(path)
	if err == nil {
		err = ring.Rotate()
	}
	if err != nil {
		t.Fatal(err)
	}
	s = startServer(t, data, http.DefaultClient)
	wait(t, "the secrets to be sealed anew", func() bool {
		var keys struct{ Pending int }
		return s.call("GET", "/api/v1/secrets", "", &keys) == http.StatusOK && keys.Pending == 0
	})
	stopped(t, s)
	to := filepath.Join(t.TempDir(), "backup")
	wantRun(t, "is complete", "backup", "--data", data, "--to", to)
	wantRun(t, "lacks the keys of 2 of the secrets", "restore", "--from", to, "--data", filepath.Join(t.TempDir(), "again"), "--key-file", old)
	res := sluiceRun(t.Context(), nil, "", "restore", "--from", to, "--data", filepath.Join(t.TempDir(), "more"), "--key-file", path)
	if res.code != exitOK || strings.Contains(res.stdout, "key") {
		t.Errorf("with the right key file: got %+v", res)
	}
}

// appended appends blocks to the log of a server that is stopped, where it has no file
// yet, in files so small that some are closed.
func appended(t *testing.T, data string) {
	t.Helper()
	stored, err := openStoredLog(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	e, err := segment.Open(filepath.Join(data, logFolder), segment.Options{Log: stored.id, SegmentSize: segment.MinSegmentSize})
	if err != nil {
		t.Fatal(err)
	}
	l, err := eventlog.Open(t.Context(), e, eventlog.Options{ID: stored.id})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	for n := range 20 {
		batch := &eventlog.Batch{}
		for i := range 20 {
			payload, env := selftestEvent(20*n + i)
			batch.Add(payload, env, sluice.SourceSluice)
		}
		if _, err := l.Append(t.Context(), map[string]*eventlog.Batch{string(sluice.Git): batch}); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if err := errors.Join(<-done, l.Close(), stored.engine.Close()); err != nil {
		t.Fatal(err)
	}
}

// What is being written is copied before what never changes: retention may remove it
// while all that is copied.
func TestBackupBeginsWithWhatIsWritten(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	stopped(t, startServer(t, data, http.DefaultClient))
	appended(t, data)
	sources, err := logSources(t.Context(), data, filepath.Join(data, controlFile), &backup.Manifest{Last: map[string]uint64{}})
	if err != nil {
		t.Fatal(err)
	}
	open, closed := 0, 0
	for _, src := range sources {
		if src.Closed {
			closed++
		} else if open++; closed > 0 {
			t.Errorf("%s comes behind files that are closed", src.Name)
		}
	}
	if open == 0 || closed < 2 {
		t.Errorf("got %d files that are written and %d that are closed, want some of both", open, closed)
	}
	wantRun(t, "is complete", "backup", "--data", data, "--to", filepath.Join(t.TempDir(), "backup"))
}

// What the log has lost stays in the backup, which is the only place that has it; what
// retention has removed does not.
func TestBackupKeepsWhatTheLogLost(t *testing.T) {
	data, to := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "backup")
	stopped(t, startServer(t, data, http.DefaultClient))
	appended(t, data)
	wantRun(t, "is complete", "backup", "--data", data, "--to", to)
	files, err := filepath.Glob(filepath.Join(data, logFolder, string(sluice.Git), "*.seg"))
	if err != nil || len(files) < 4 {
		t.Fatalf("segments: got %q, error %v; want at least 4", files, err)
	}
	if err := errors.Join(os.Remove(files[0]), os.Remove(files[2])); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		wantRun(t, "the log itself has lost log/git/"+filepath.Base(files[2])+".", "backup", "--data", data, "--to", to)
	}
	again := filepath.Join(t.TempDir(), "again")
	wantRun(t, "new identity", "restore", "--from", to, "--data", again, "--key-file", filepath.Join(data, keyName))
	got, err := filepath.Glob(filepath.Join(again, logFolder, string(sluice.Git), "*.seg"))
	if err != nil || len(got) != len(files)-1 || filepath.Base(got[0]) != filepath.Base(files[1]) {
		t.Errorf("restored segments: got %q, error %v; want all but the oldest of %q", got, err, files)
	}
	wantRun(t, "", "log", "verify", "--data", again)
}

// A backup that lacks what the disk could not read is no success.
func TestBackupTellsWhatIsLost(t *testing.T) {
	if err := lostPlaces(map[string]int64{}); err != nil {
		t.Errorf("nothing lost: got %v", err)
	}
	err := lostPlaces(map[string]int64{"log/git/2.seg": 4096, "log/audit/1.seg": 8192})
	if err == nil || !strings.Contains(err.Error(), "8192 bytes of log/audit/1.seg, 4096 bytes of log/git/2.seg") {
		t.Errorf("two places lost: got %v", err)
	}
}

func (a *arrivals) count(id string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ids[id]
}

func TestBackupRefuses(t *testing.T) {
	data := t.TempDir()
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"backup", "--data", data}, "--to"},
		{[]string{"backup", "--data", data, "--to", filepath.Join(data, "backup")}, "lost with the original"},
		{[]string{"backup", "--data", data, "--to", t.TempDir()}, controlFile},
		{[]string{"restore", "--from", data}, "--check"},
		{[]string{"restore", "--from", data, "--check", "--data", t.TempDir()}, "--check"},
		{[]string{"restore", "--from", data, "--check"}, "no complete backup"},
	} {
		res := sluiceRun(t.Context(), nil, "", test.args...)
		if res.code == exitOK || !strings.Contains(res.stderr, test.want) {
			t.Errorf("sluice %s: got %+v, want an error with %q", strings.Join(test.args, " "), res, test.want)
		}
	}
}

// What is no key file is refused before anything else is copied, and that there is
// none is said.
func TestRestoreLooksAtTheKeyFile(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	stopped(t, startServer(t, data, http.DefaultClient))
	to, again := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "again")
	wantRun(t, "is complete", "backup", "--data", data, "--to", to, "--with-key")
	res := sluiceRun(t.Context(), nil, "", "restore", "--from", to, "--data", again, "--key-file", filepath.Join(to, "backup.json"))
	if res.code != exitFailure || !strings.Contains(res.stderr, "no key file") {
		t.Errorf("restore with what is no key file: got %+v", res)
	}
	wantRun(t, "new identity", "restore", "--from", to, "--data", again, "--key-file", filepath.Join(data, keyName))
	without := filepath.Join(t.TempDir(), "without")
	wantRun(t, "is complete", "backup", "--data", data, "--to", without)
	wantRun(t, "before the start", "restore", "--from", without, "--data", filepath.Join(t.TempDir(), "more"))
}
