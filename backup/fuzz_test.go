package backup_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/backup"
)

// FuzzManifest reads lists of files that are anything at all: no name leads out of
// the folder, and a list is read as it was written.
func FuzzManifest(f *testing.F) {
	for _, text := range []string{
		`{"format":1,"program":"1.0","log":"07","made_at":"2026-03-01T12:00:00Z","last_seq":{"audit":7},"files":[{"name":"control.db","bytes":3,"sha256":"00"},{"name":"log/audit/1.seg","bytes":0,"closed":true}]}`,
		`{"format":2}`, `{"format":1,"files":[{"name":"../x"}]}`, `{"format":1,"files":[{"name":"/etc/passwd"}]}`, `{"format":1,"files":[{"name":"a","bytes":-1}]}`, `{"format":1,"files":null}{`, ``, `[]`,
	} {
		f.Add([]byte(text))
	}
	dir := f.TempDir()
	path := filepath.Join(dir, backup.ManifestName)
	put := func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		put(t, text)
		m, err := backup.Read(dir)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%q: got %v for a list that is there", text, err)
			}
			return
		}
		for _, file := range m.Files {
			if to := filepath.Join(dir, filepath.FromSlash(file.Name)); file.Bytes < 0 || to != dir && !strings.HasPrefix(to, dir+string(filepath.Separator)) {
				t.Errorf("%q: got file %+v", text, file)
			}
		}
		if len(m.Files) > 0 && backup.Verify(t.Context(), dir, &m) == nil {
			t.Errorf("%q: files that are not there are verified", text)
		}
		again, err := json.Marshal(m)
		if err != nil {
			return // a time that no backup was made at
		}
		put(t, again)
		if back, err := backup.Read(dir); err != nil || len(back.Files) != len(m.Files) || back.Log != m.Log || back.Bytes() != m.Bytes() {
			t.Errorf("%q: written and read again it is %+v (%v), want %+v", text, back, err, m)
		}
	})
}
