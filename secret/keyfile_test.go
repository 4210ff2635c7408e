package secret

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func createKeyFile(t *testing.T) (*Ring, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	r, err := CreateKeyFile(path)
	if err != nil {
		t.Fatalf("CreateKeyFile: %v", err)
	}
	return r, path
}

func TestKeyFile(t *testing.T) {
	r, path := createKeyFile(t)
	sealed := r.Seal([]byte(hidden), place)
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode of the key file: got %v, error %v; want 0600", info.Mode(), err)
	}
	for round := range 3 {
		again, err := OpenKeyFile(path)
		if err != nil {
			t.Fatalf("OpenKeyFile: %v", err)
		}
		if got, err := again.Open(sealed, place); err != nil || string(got) != hidden {
			t.Errorf("Open in round %d: got %q, error %v; want %q", round, got, err, hidden)
		}
		before := again.Current()
		if err := again.Rotate(); err != nil {
			t.Fatalf("Rotate: %v", err)
		}
		if len(again.keys) != round+2 || again.Current() == before {
			t.Errorf("keys after rotation %d: got %d, want %d and another current one", round, len(again.keys), round+2)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode after rotations: got %v, error %v; want 0600", info.Mode(), err)
	}
	// The first ring knows nothing of the rotations of the others and loses none.
	if err := r.Rotate(); err != nil {
		t.Fatalf("Rotate: %v", err)
	}
	if len(r.keys) != 5 {
		t.Errorf("keys after rotations by others: got %d, want 5", len(r.keys))
	}
	wantOneFile(t, path)
}

// A key file that lies elsewhere, behind a link, is changed there.
func TestRotateBehindALink(t *testing.T) {
	_, path := createKeyFile(t)
	link := filepath.Join(t.TempDir(), "sluice.key")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	r, err := OpenKeyFile(link)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Rotate(); err != nil {
		t.Fatalf("Rotate: %v", err)
	}
	for _, name := range []string{path, link} {
		got, err := OpenKeyFile(name)
		if err != nil || got.Current() != r.Current() || len(got.keys) != 2 {
			t.Errorf("%s: got %v, error %v, want the new key beside the old one", name, got.Keys(), err)
		}
	}
	if info, err := os.Lstat(link); err != nil || info.Mode().Type() != fs.ModeSymlink {
		t.Errorf("the link: got mode %v, error %v", info.Mode(), err)
	}
	wantOneFile(t, path)
	wantOneFile(t, link)
	if got, want := Unfinished(link), Unfinished(path); got != want {
		t.Errorf("Unfinished: got %s, want %s", got, want)
	}
}

// Two that make a key file at once never have another key than the file.
func TestCreateKeyFileAtOnce(t *testing.T) {
	for round := range 100 {
		path := filepath.Join(t.TempDir(), "keys")
		var rings [2]*Ring
		var wg sync.WaitGroup
		for i := range rings {
			wg.Go(func() { rings[i], _ = CreateKeyFile(path) })
		}
		wg.Wait()
		inFile, err := OpenKeyFile(path)
		if err != nil && rings[0] == nil && rings[1] == nil {
			continue // the next start begins anew
		}
		for _, r := range rings {
			if r != nil && (err != nil || r.Current() != inFile.Current()) {
				t.Fatalf("round %d: got the key %s, and the file has another one (%v)", round, r.Current(), err)
			}
		}
	}
}

func TestCreateKeyFileReplacesNothing(t *testing.T) {
	_, path := createKeyFile(t)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := CreateKeyFile(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("CreateKeyFile over a file: got error %v, want %v", err, fs.ErrExist)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the key file has changed, error %v", err)
	}
	wantOneFile(t, path)
	for _, bad := range []string{"", filepath.Join(filepath.Dir(path), "absent", "keys")} {
		if _, err := CreateKeyFile(bad); err == nil {
			t.Errorf("CreateKeyFile(%q): got no error", bad)
		}
	}
}

func wantOneFile(t *testing.T, path string) {
	t.Helper()
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(files) != 1 {
		t.Errorf("folder of the key file: got %v, error %v; want one file", files, err)
	}
}

func TestOpenKeyFileModes(t *testing.T) {
	_, path := createKeyFile(t)
	for mode, allowed := range map[os.FileMode]bool{
		0o600: true, 0o400: true, 0o700: true, 0o640: false, 0o604: false, 0o620: false, 0o602: false, 0o644: false, 0o601: false,
	} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := OpenKeyFile(path)
		if allowed && err != nil {
			t.Errorf("mode %04o: got error %v, want none", mode, err)
		}
		if !allowed && (err == nil || !strings.Contains(err.Error(), "chmod 600 "+path)) {
			t.Errorf("mode %04o: got error %v, want one that tells what to do", mode, err)
		}
	}
}

func TestOpenKeyFileErrors(t *testing.T) {
	r, path := createKeyFile(t)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(good)
	keyLine := text[strings.LastIndex(text, "key "+r.Current()):]
	for name, bad := range map[string]string{
		"empty":               "",
		"comment only":        "# nothing\n",
		"newer version":       strings.Replace(text, keyFileHead, "sluice-keys 2", 1),
		"no head":             strings.Replace(text, keyFileHead+"\n", "", 1),
		"no current":          strings.Replace(text, "current "+r.Current()+"\n", "", 1),
		"two currents":        text + "current " + r.Current() + "\n",
		"current without key": strings.Replace(text, keyLine, "", 1),
		"the same key twice":  text + keyLine,
		"cut off":             text[:len(text)-10],
		"unknown line":        text + "colour green\n",
		"another id":          strings.Replace(text, "key "+r.Current(), "key 00000000", 1),
		"long line":           text + strings.Repeat("x", 100_000),
	} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := OpenKeyFile(path)
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got error %v, want one with the path", name, err)
		} else if secret := strings.Fields(keyLine)[2]; strings.Contains(err.Error(), secret[:8]) {
			t.Errorf("%s: the error %q shows the key", name, err)
		}
	}
	if err := r.Rotate(); err == nil {
		t.Error("Rotate over a damaged file: got no error")
	}
	if _, err := OpenKeyFile(filepath.Dir(path)); err == nil {
		t.Error("OpenKeyFile of a folder: got no error")
	}
	if _, err := OpenKeyFile(path + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("OpenKeyFile of an absent file: got error %v, want %v", err, fs.ErrNotExist)
	}
}

// No bit of a key line may change without being noticed.
func TestKeyFileFlippedBits(t *testing.T) {
	r := NewRing()
	good := encodeKeys(r.current, r.keys)
	from := bytes.Index(good, []byte("\nkey ")) + 1
	for i := from * 8; i < (len(good)-1)*8; i++ {
		b := bytes.Clone(good)
		b[i/8] ^= 1 << (i % 8)
		_, keys, err := decodeKeys(bytes.NewReader(b))
		if err == nil && keys[r.current].raw != r.keys[r.current].raw {
			t.Errorf("bit %d of byte %d: the key file was read with another key", i%8, i/8)
		}
	}
}

// A rotation that cannot be written leaves the ring and the file as they were.
func TestRotateFails(t *testing.T) {
	r, path := createKeyFile(t)
	before := r.Current()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := r.Rotate(); !errors.Is(err, fs.ErrNotExist) || r.Current() != before {
		t.Errorf("Rotate without the file: got error %v and current key %s, want %v and %s",
			err, r.Current(), fs.ErrNotExist, before)
	}
}

func TestDrop(t *testing.T) {
	r, path := createKeyFile(t)
	first := r.Current()
	old := r.Seal([]byte(hidden), place)
	if err := r.Drop(first); err == nil {
		t.Error("Drop of the current key: got no error")
	}
	if err := r.Rotate(); err != nil {
		t.Fatal(err)
	}
	if got, want := r.Keys(), 2; len(got) != want {
		t.Errorf("keys after the rotation: got %v, want %d", got, want)
	}
	sealed := r.Seal([]byte(hidden), place)
	for range 2 { // what is gone already does no harm
		if err := r.Drop(first, "00000000"); err != nil {
			t.Fatalf("Drop: %v", err)
		}
	}
	again, err := OpenKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*Ring{r, again} {
		if got := r.Keys(); len(got) != 1 || got[0] != r.Current() {
			t.Errorf("keys: got %v, want the current one alone", got)
		}
		if _, err := r.Open(old, place); !errors.Is(err, ErrNoKey) {
			t.Errorf("Open of what the dropped key sealed: got error %v, want %v", err, ErrNoKey)
		}
		if got, err := r.Open(sealed, place); err != nil || string(got) != hidden {
			t.Errorf("Open: got %q, error %v; want %q", got, err, hidden)
		}
	}
	wantOneFile(t, path)
}
