package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// FuzzOffset reads what a program that follows a file has noted, whatever stands
// there: it is refused by its name, or is kept as it was read, and says of a file
// whether that is what was read.
func FuzzOffset(f *testing.F) {
	for _, text := range []string{`{"id":"a","device":1,"inode":2,"offset":5,"before":"aGFsbG8="}`, `{}`, `null`, `{"offset":-1}`, `{"offset":3,"before":"aGFsbG8="}`, `{"offset":"x"}`, `[]`, ``} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		path, followed := filepath.Join(dir, "log.offset"), filepath.Join(dir, "log")
		for name, text := range map[string][]byte{path: text, followed: []byte("hallo\nagain\n")} {
			if err := os.WriteFile(name, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s, err := openState(path)
		if err != nil {
			if !strings.Contains(err.Error(), path) {
				t.Fatalf("%q: got %v, want an error that names the file", text, err)
			}
			return
		}
		read := *s.current
		file, err := os.Open(followed)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if same, err := unchanged(file, &read); err == nil && same && (read.Offset < int64(len(read.Before)) || read.Offset > 12) {
			t.Errorf("%q: a file of 12 bytes is taken for what was read up to %d", text, read.Offset)
		}
		err = s.save(read)
		s.close()
		if err != nil {
			t.Fatal(err)
		}
		again, err := openState(path)
		if err != nil || !reflect.DeepEqual(*again.current, read) {
			t.Fatalf("%q: written and read again it is %+v (%v), want %+v", text, again.current, err, read)
		}
		again.close()
	})
}
