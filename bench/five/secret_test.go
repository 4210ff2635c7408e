package five

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// sealed looks for secrets in all files of a folder.
func sealed(t *testing.T, data string, secrets []string) {
	t.Helper()
	err := filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it was for the moment only
		}
		lookFor(t, d.Name(), text, secrets)
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// lookFor looks for secrets in a text that may not have them.
func lookFor(t *testing.T, what string, text []byte, secrets []string) {
	t.Helper()
	for _, leak := range leaks(what, text, secrets) {
		t.Error(leak)
	}
}

func leaks(what string, text []byte, secrets []string) (found []string) {
	for _, secret := range secrets {
		if bytes.Contains(text, []byte(secret)) {
			found = append(found, fmt.Sprintf("%s: it holds the secret that begins with %.8q", what, secret))
		}
	}
	return found
}
