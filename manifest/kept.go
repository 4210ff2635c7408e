package manifest

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/sluicelog/sluice"
)

// kept is a text that goes with a new thing: a token's, or a password. It is
// given, or made here and kept in a file before the server hears of it, so that no
// crash loses it: first as FILE.new, and when the server has taken it as FILE.
type kept struct {
	at    Place
	given *Text
	file  string        // within the folder for secrets
	make  func() string // nil: the thing exists
}

// unfinished ends the name of a file whose text the server may not know yet.
const unfinished = ".new"

func tokenFile(namespace, name string) string {
	file := url.PathEscape(name) + ".token"
	if namespace == sluice.Instance {
		return file
	}
	return filepath.Join(url.PathEscape(sluice.FoldNamespace(namespace)), file)
}

func passwordFile(name string) string { return url.PathEscape(name) + ".password" }

// newToken returns 256 random bits behind the prefix of the server's own tokens,
// which secret scanners look for.
func newToken() string {
	b := make([]byte, 32)
	rand.Read(b) // never fails, see its documentation
	return "slc_" + base64.RawURLEncoding.EncodeToString(b)
}

func newPassword() string { return rand.Text() }

// made remembers a text that a new thing needs.
func (b *builder) made(given *Text, at Place, file string, generate func() string) *kept {
	k := kept{at: at, given: given, file: file, make: generate}
	if given == nil {
		b.kept = append(b.kept, k)
	}
	return &k
}

// finish remembers that a thing exists: its text is the server's.
func (b *builder) finish(given *Text, file string) {
	if given == nil {
		b.kept = append(b.kept, kept{file: file})
	}
}

// prepare finds out, before anything is changed, whether all texts can be kept,
// and gives those of an interrupted run that succeeded their names.
func (p *Plan) prepare(dir string) error {
	var problems Problems
	for _, k := range p.kept {
		switch {
		case k.make == nil:
			if dir == "" {
				continue
			}
			path := filepath.Join(dir, k.file)
			if err := os.Rename(path+unfinished, path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("keep a secret: %w", err)
			}
		case dir == "":
			problems.add(k.at, "its secret is made when it is created, and there is no place to keep it: give it by reference, or name a folder with --secret-dir")
		default:
			path := filepath.Join(dir, k.file)
			if _, err := os.Lstat(path); err == nil {
				problems.add(k.at, "it is new, and %s holds the secret of an earlier one: move that file away", path)
			} else if !errors.Is(err, fs.ErrNotExist) {
				problems.add(k.at, "its secret cannot be kept: %v", err)
			}
		}
	}
	problems.sort()
	return problems.err()
}

// withText calls create with the text, which by then is safe.
func (c *carrier) withText(k *kept, create func(text string) error) (remark string, err error) {
	if k.given != nil {
		return "", create(k.given.value)
	}
	path := filepath.Join(c.dir, k.file)
	text, err := keep(path+unfinished, k.make)
	if err != nil {
		return "", fmt.Errorf("keep a secret: %w", err)
	}
	if err := create(text); err != nil {
		return "", err
	}
	if err := os.Rename(path+unfinished, path); err != nil {
		return "", fmt.Errorf("keep a secret: it was created, and its secret is in %s: %w", path+unfinished, err)
	}
	return "its secret is in " + path, nil
}

// keep returns the text in a file, which it makes unless an interrupted run did.
func keep(path string, generate func() string) (string, error) {
	text, err := readText(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return text, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	text = generate()
	// A crash must not leave half a text under the name.
	f, err := os.CreateTemp(filepath.Dir(path), ".secret-*") // for the owner alone
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(text + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return text, nil
}
