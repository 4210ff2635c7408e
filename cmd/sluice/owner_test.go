package main

import (
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What root brings back belongs to whom the data folder belongs.
func TestRestoredFilesHaveTheirOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files to somebody")
	}
	const user = 61234
	data := filepath.Join(t.TempDir(), "data")
	stopped(t, startServer(t, data, http.DefaultClient))
	to, again := filepath.Join(t.TempDir(), "backup"), t.TempDir()
	wantRun(t, "is complete", "backup", "--data", data, "--to", to)
	for _, folder := range []string{data, again} {
		if err := os.Chown(folder, user, user); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(data, controlFile)); err != nil {
		t.Fatal(err)
	}
	wantRun(t, "The control state is that of", "control", "restore", "--data", data)
	wantOwner(t, user, filepath.Join(data, controlFile))
	link := filepath.Join(t.TempDir(), "link") // as systemd has it
	if err := os.Symlink(again, link); err != nil {
		t.Fatal(err)
	}
	wantRun(t, "new identity", "restore", "--from", to, "--data", link, "--key-file", filepath.Join(data, keyName))
	for _, name := range []string{controlFile, keyName, logFolder, logFolder + "/audit"} {
		wantOwner(t, user, filepath.Join(again, name))
	}
}

func wantOwner(t *testing.T, want uint32, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Sys().(*syscall.Stat_t).Uid; got != want {
		t.Errorf("%s: got owner %d, want %d", path, got, want)
	}
}
