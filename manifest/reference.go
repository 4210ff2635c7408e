package manifest

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"
)

// ownVariables begins the names of the variables that are this program's own, its
// tokens among them. No manifest may name one.
const ownVariables = "SLUICE_"

// References says what the references of a manifest may reach. A manifest chooses
// where texts go, so somebody else's would like to have more than it needs.
type References struct {
	// Getenv returns a variable of the environment, "" when it is not set.
	Getenv func(name string) string
	// Roots are folders in which files may lie, besides those of the manifest's own
	// files and what is below them. Symbolic links are followed first.
	Roots []string
	// OwnFiles hold the caller's own credentials, and no reference reads them, by
	// whatever name. Those that do not exist do not matter.
	OwnFiles []string
	// Own, unless nil, reports whether a text holds one of these credentials.
	Own func(text string) bool
}

// errOwn is what a reference to the caller's own credential gets.
var errOwn = errors.New("it is a credential of this command itself, which no file may send anywhere")

// Reference says where a text that a change sends stands.
type Reference struct {
	// Name is the field that gets it: "config.url", "config.headers.X-Key.value",
	// "secrets.password".
	Name string `json:"name"`
	Env  string `json:"env,omitempty"`
	File string `json:"file,omitempty"`
}

// String says where the text stands, without the field.
func (r Reference) String() string {
	if r.Env != "" {
		return "from env " + Escaped(r.Env)
	}
	return "from file " + Escaped(r.File)
}

// reference returns where a text stands; ok is false when the manifest has it.
func (t *Text) reference(name string) (r Reference, ok bool) {
	if t == nil || t.plain() {
		return Reference{}, false
	}
	return Reference{Name: name, Env: t.env, File: t.file}, true
}

// refer remembers where a text stands that is sent with the change.
func (c *Change) refer(name string, t *Text) {
	if r, ok := t.reference(name); ok {
		c.References = append(c.References, r)
	}
}

// referTo is refer for all that goes with a stream: of the configuration and the
// secrets those that are sent.
func (c *Change) referTo(s *Stream, sent func(name string) bool) {
	for _, name := range sortedNames(s.Config) {
		if sent("config." + name) {
			c.References = append(c.References, referencesIn("config."+name, s.Config[name])...)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Secrets)) {
		if sent("secrets." + name) {
			c.refer("secrets."+name, s.Secrets[name])
		}
	}
}

// referencesIn lists the references of a value of a configuration, those of rows
// with the names of their rows.
func referencesIn(name string, v any) (out []Reference) {
	if t, ok := v.(*Text); ok {
		if r, ok := t.reference(name); ok {
			out = append(out, r)
		}
		return out
	}
	list, _ := v.([]any)
	for _, item := range list {
		row, _ := item.(map[string]any)
		for _, column := range sortedNames(row) {
			out = append(out, referencesIn(name+"."+rowName(item)+"."+column, row[column])...)
		}
	}
	return out
}

// resolve fetches the text. Files stand relative to the folder of the manifest;
// the line breaks at their end do not count.
func (t *Text) resolve(from References) (err error) {
	switch {
	case t.env != "":
		if t.value = from.Getenv(t.env); t.value == "" {
			return fmt.Errorf("the environment variable %s is not set", t.env)
		}
	case t.file != "":
		if t.value, err = from.read(t.path(), filepath.Dir(t.At.File)); err != nil {
			return err
		}
	}
	if !t.plain() && from.Own != nil && from.Own(t.value) {
		t.value = ""
		return errOwn
	}
	t.known = true
	return nil
}

func (t *Text) path() string {
	if filepath.IsAbs(t.file) {
		return t.file
	}
	return filepath.Join(filepath.Dir(t.At.File), t.file)
}

// read returns the text of a file that lies in the folder or in one of the roots.
func (from References) read(path, folder string) (string, error) {
	real, err := realPath(path)
	if err != nil {
		return "", err
	}
	for _, root := range append([]string{folder}, from.Roots...) {
		root, err := realPath(root)
		if err != nil {
			return "", err
		}
		if name, err := filepath.Rel(root, real); err == nil && filepath.IsLocal(name) {
			return from.readIn(root, name, path)
		}
	}
	return "", fmt.Errorf("%s lies outside the folder of this file: if it may be read, allow its folder with --secret-root", path)
}

// realPath returns the absolute path behind all symbolic links.
func realPath(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}

// readIn reads a file below root, which it does not leave even if links change
// meanwhile. Only regular files are read, and opening never waits for a writer: a
// pipe would hang for ever.
func (from References) readIn(root, name, path string) (string, error) {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return "", err
	}
	defer dir.Close()
	if info, err := dir.Stat(name); err == nil && !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a regular file", path)
	}
	f, err := dir.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is not a regular file", path)
	case info.Size() == 0: // as are those of /proc that tell of processes
		return "", fmt.Errorf("%s is empty", path)
	case from.isOwn(info):
		return "", errOwn
	}
	return readText(f, path)
}

// isOwn reports whether a file is one of the caller's own credentials.
func (from References) isOwn(info os.FileInfo) bool {
	for _, path := range from.OwnFiles {
		if own, err := os.Stat(path); err == nil && os.SameFile(own, info) {
			return true
		}
	}
	return false
}

func readText(f io.Reader, path string) (string, error) {
	text, err := io.ReadAll(io.LimitReader(f, maxText+1))
	if err != nil {
		return "", err
	}
	if len(text) > maxText {
		return "", fmt.Errorf("%s is larger than %d bytes", path, maxText)
	}
	value := strings.TrimRight(string(text), "\r\n")
	if value == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return value, nil
}

// Resolve fetches every text that stands elsewhere, so that nothing is missing
// half way, and finds those that no server takes. It returns [Problems]. A manifest
// that is not resolved can be planned, and the rest of it compared, but not carried
// out.
func (m *Manifest) Resolve(from References) error {
	var problems Problems
	m.each(func(t *Text) {
		if err := t.resolve(from); err != nil {
			problems.add(t.At, "%v", err)
		}
	})
	for _, n := range m.Namespaces {
		for _, t := range n.Tokens.Items {
			if t.Text != nil && t.Text.known && !isTokenText(t.Text.value) {
				problems.add(t.Text.At, "the text %s cannot be a token: it must have %d to %d visible ASCII characters", t.Text.where(), minTokenText, maxTokenText)
			}
		}
		for _, u := range n.Users.Items {
			if u.Password != nil && u.Password.known && !isPassword(u.Password.value) {
				problems.add(u.Password.At, "the text %s cannot be a password: it must be one line of %d to %d characters", u.Password.where(), minPassword, maxPassword)
			}
		}
	}
	problems.sort()
	return problems.err()
}

// Lengths that the server takes, in characters.
const (
	minTokenText, maxTokenText = 16, 255
	minPassword, maxPassword   = 12, 256
)

func isTokenText(s string) bool {
	visible := strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
	return visible && len(s) >= minTokenText && len(s) <= maxTokenText
}

func isPassword(s string) bool {
	n := utf8.RuneCountInString(s)
	return isLine(s) && n >= minPassword && n <= maxPassword
}
