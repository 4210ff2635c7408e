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
	"strings"

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
			if err := finish(filepath.Join(dir, k.file)); err != nil {
				return fmt.Errorf("keep a secret: %w: %w", err, ErrNotBegun)
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

// finish gives a text that the server has the name of its file, unless that is
// taken.
func finish(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	if err := os.Rename(path+unfinished, path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// withText calls create with the text, which by then is safe.
func (c *carrier) withText(k *kept, create func(text string) error) (remark string, err error) {
	if k.given != nil {
		return "", create(k.given.value)
	}
	path := filepath.Join(c.dir, k.file)
	if err := vacant(path); err != nil { // since the plan was made, another run may have been here
		return "", fmt.Errorf("keep a secret: %w: somebody else has created it meanwhile", err)
	}
	text, err := keep(path+unfinished, k.make)
	if err != nil {
		return "", fmt.Errorf("keep a secret: %w", err)
	}
	if err := create(text); err != nil {
		return "", err
	}
	if err = vacant(path); err == nil {
		err = os.Rename(path+unfinished, path)
	}
	if err != nil {
		return "", fmt.Errorf("keep a secret: it was created, and its secret is in %s: %w", path+unfinished, err)
	}
	return "its secret is in " + path, nil
}

// vacant reports, as nil, that there is no file, whose secret would be lost.
func vacant(path string) error {
	_, err := os.Lstat(path)
	switch {
	case err == nil:
		return fmt.Errorf("%s is there", path)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return err
}

// keep returns the text in a file, which it makes unless an earlier run, or one at
// the same time, did. When it returns, the file is on disk.
func keep(path string, generate func() string) (string, error) {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return keptBefore(path)
	}
	if err != nil {
		return "", err
	}
	text := generate()
	_, err = f.WriteString(text + "\n")
	return text, errors.Join(err, f.Sync(), f.Close(), syncFolder(folder))
}

// keptBefore reads a text that another run kept. Its line break says that it is
// whole.
func keptBefore(path string) (string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	text, _, whole := strings.Cut(string(raw), "\n")
	if !whole || text == "" {
		return "", fmt.Errorf("%s is not complete, and was never used: remove it", path)
	}
	return text, nil
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
