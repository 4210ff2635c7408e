package backup_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/sluicelog/sluice/backup"
)

// TestBitFlips flips every bit of a backup, one after another: in its files, and in
// the list of them. Either that is found before anything is restored, or what is
// restored is what was kept.
func TestBitFlips(t *testing.T) {
	o, dir := original{t, t.TempDir()}, t.TempDir()
	texts := map[string]string{"control-1.db": "state", "log/audit/1.seg": "closed", "log/git/1.seg": "growing"}
	var sources []backup.Source
	for _, name := range []string{"control-1.db", "log/audit/1.seg", "log/git/1.seg"} {
		o.write(name, texts[name])
		sources = append(sources, o.source(name, len(texts[name]), name == "log/audit/1.seg"))
	}
	if _, err := write(t.Context(), dir, manifest("0123456789abcdef"), sources); err != nil {
		t.Fatal(err)
	}
	found, harmless := 0, 0
	for _, name := range []string{backup.ManifestName, "control-1.db", "log/audit/1.seg", "log/git/1.seg"} {
		path := filepath.Join(dir, name)
		sound, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := range len(sound) * 8 {
			bad := append([]byte(nil), sound...)
			bad[i/8] ^= 1 << (i % 8)
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			switch err := judged(t, dir, texts); {
			case err == nil && name == backup.ManifestName:
				harmless++
			case err == nil:
				t.Errorf("bit %d of byte %d of %s: it was not found", i%8, i/8, name)
			default:
				found++
			}
		}
		if err := os.WriteFile(path, sound, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d flips were found, %d mean nothing", found, harmless)
}

// judged verifies a backup as a restoration does. What passes has to be all there was.
func judged(t *testing.T, dir string, texts map[string]string) error {
	t.Helper()
	m, err := backup.Read(dir)
	if err == nil {
		err = backup.Verify(t.Context(), dir, &m)
	}
	if err != nil {
		return err
	}
	got := map[string]string{}
	for _, f := range m.Files {
		text, err := os.ReadFile(filepath.Join(dir, f.Name))
		if err != nil {
			t.Fatal(err)
		}
		got[f.Name] = string(text[:f.Bytes])
	}
	if fmt.Sprint(got) != fmt.Sprint(texts) {
		t.Errorf("a backup is taken for whole with %q, want %q: %+v", got, texts, m)
	}
	return nil
}
