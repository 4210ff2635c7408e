package secret

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sluicelog/sluice/failpoint"
)

// The key file is text: comments and empty lines, then in this order
//
//	sluice-keys 1
//	current KEYID
//	key KEYID BASE64
//
// with one line for each key. maxKeyFile is far more than years of rotation need.
const (
	keyFileHead = "sluice-keys 1"
	maxKeyFile  = 1 << 20 // bytes
)

const keyFileNote = `# The keys that seal secrets in the control state. Whoever reads this file and a
# copy of the data can read the secrets; without it they are lost. Keep a copy of
# it in another place than the copies of the data.
`

// CreateKeyFile makes a key file with one new key, mode 0600, and returns its
// ring. It refuses to replace a file. When it returns, the file survives a power
// cut.
func CreateKeyFile(path string) (*Ring, error) {
	if path == "" {
		return nil, errors.New("create key file: no path given")
	}
	r := NewRing()
	if err := writeFile(path, encodeKeys(r.current, r.keys), placeNew); err != nil {
		return nil, fmt.Errorf("create key file: %w", err)
	}
	// Of two processes that do so at once, the one may have given its name to what the
	// other wrote: a key that is in no file must not seal anything.
	return OpenKeyFile(path)
}

// OpenKeyFile reads a key file. It refuses one that others than its owner may
// read or write, and one with a key that is damaged. The error of an absent file
// is fs.ErrNotExist.
func OpenKeyFile(path string) (*Ring, error) {
	current, keys, err := readKeyFile(path)
	if err != nil {
		return nil, fmt.Errorf("open key file: %w", err)
	}
	return &Ring{path: path, current: current, keys: keys}, nil
}

// Rotate adds a new key and makes it the current one, in the key file first. The
// old keys stay, to open what they sealed. Keys that another process added to
// the file meanwhile are taken in; two processes must not rotate at the same
// moment.
func (r *Ring) Rotate() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	keys, err := r.all()
	if err != nil {
		return fmt.Errorf("rotate keys: %w", err)
	}
	k := newKey()
	for _, taken := keys[k.id]; taken; _, taken = keys[k.id] {
		k = newKey()
	}
	keys[k.id] = k
	if err := r.replace(k.id, keys); err != nil {
		return fmt.Errorf("rotate keys: %w", err)
	}
	return nil
}

// Drop removes keys, from the key file first: what they sealed can never be
// opened again, so the caller knows that there is nothing left. The current key
// is refused, and then nothing is removed; ids that the ring lacks do no harm.
func (r *Ring) Drop(ids ...string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.Contains(ids, r.current) {
		return fmt.Errorf("drop keys: %s is the current key", r.current)
	}
	keys, err := r.all()
	if err != nil {
		return fmt.Errorf("drop keys: %w", err)
	}
	for _, id := range ids {
		delete(keys, id)
	}
	if err := r.replace(r.current, keys); err != nil {
		return fmt.Errorf("drop keys: %w", err)
	}
	return nil
}

// all returns the ring's keys and those that others added to the file. The ring
// is locked.
func (r *Ring) all() (map[string]key, error) {
	keys := maps.Clone(r.keys)
	if r.path == "" {
		return keys, nil
	}
	_, inFile, err := readKeyFile(r.path)
	if err != nil {
		return nil, err
	}
	maps.Copy(keys, inFile)
	return keys, nil
}

// replace puts keys into the file, then into the ring, which is locked.
func (r *Ring) replace(current string, keys map[string]key) error {
	if r.path != "" {
		if err := writeFile(behindLinks(r.path), encodeKeys(current, keys), os.Rename); err != nil {
			return err
		}
	}
	r.current, r.keys = current, keys
	return nil
}

func readKeyFile(path string) (current string, keys map[string]key, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return "", nil, err
	}
	if !info.Mode().IsRegular() {
		return "", nil, fmt.Errorf("%s is not a file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return "", nil, fmt.Errorf("%s has mode %04o, so others can use it: run chmod 600 %s", path, mode, path)
	}
	current, keys, err = decodeKeys(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w", path, err)
	}
	return current, keys, nil
}

func encodeKeys(current string, keys map[string]key) []byte {
	b := fmt.Appendf(nil, "%s%s\ncurrent %s\n", keyFileNote, keyFileHead, current)
	for _, id := range slices.Sorted(maps.Keys(keys)) {
		raw := keys[id].raw
		b = fmt.Appendf(b, "key %s %s\n", id, base64.StdEncoding.EncodeToString(raw[:]))
	}
	return b
}

// decodeKeys is strict, because a line that is passed over may be a key that is
// missed later. Its errors name lines by number and never repeat them.
func decodeKeys(r io.Reader) (current string, keys map[string]key, err error) {
	keys = make(map[string]key)
	lines := bufio.NewScanner(r)
	headed := false
	for n := 1; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) == 0 || fields[0][0] == '#':
		case !headed:
			if strings.Join(fields, " ") != keyFileHead {
				return "", nil, fmt.Errorf("line %d is not %q: no key file, or one of a newer version", n, keyFileHead)
			}
			headed = true
		case len(fields) == 2 && fields[0] == "current" && current == "" && isID(fields[1]):
			current = fields[1]
		case len(fields) == 3 && fields[0] == "key" && isID(fields[1]):
			k, ok := decodeKey(fields[2])
			if _, twice := keys[k.id]; !ok || twice || k.id != fields[1] {
				return "", nil, fmt.Errorf("line %d: key %s is damaged or there twice", n, fields[1])
			}
			keys[k.id] = k
		default:
			return "", nil, fmt.Errorf("line %d is not understood", n)
		}
	}
	if err := lines.Err(); err != nil {
		return "", nil, err
	}
	if _, ok := keys[current]; !ok {
		return "", nil, errors.New("the current key is missing: the file is cut off or damaged")
	}
	return current, keys, nil
}

func decodeKey(s string) (key, bool) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != keySize {
		return key{}, false
	}
	return makeKey([keySize]byte(b)), true
}

// Unfinished returns the name of the file that a key file is written into before it
// gets its own name. A process that ends in between leaves it: it holds keys, and is
// of no use.
func Unfinished(path string) string { return behindLinks(path) + ".new" }

// behindLinks returns where a key file lies: replacing a link to it would leave the old
// keys where somebody keeps them, and put the new ones where they must not be.
func behindLinks(path string) string {
	if file, err := filepath.EvalSymlinks(path); err == nil {
		return file
	}
	return path // it is not there
}

// writeFile writes a file whole or not at all: under another name first, synced,
// then put into place and its folder synced.
func writeFile(path string, b []byte, place func(from, to string) error) (err error) {
	dir := filepath.Dir(path)
	if err := ignoreAbsent(os.Remove(Unfinished(path))); err != nil {
		return err
	}
	f, err := os.OpenFile(Unfinished(path), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreAbsent(os.Remove(f.Name())))
		}
	}()
	failpoint.Here(failpoint.KeysWriting)
	_, err = f.Write(b)
	failpoint.Here(failpoint.KeysWritten)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	failpoint.Here(failpoint.KeysSynced)
	if err := place(f.Name(), path); err != nil {
		return err
	}
	failpoint.Here(failpoint.KeysPlaced)
	err = syncDir(dir)
	failpoint.Here(failpoint.KeysNamed)
	return err
}

// placeNew moves a file to a name that must be free.
func placeNew(from, to string) error {
	err := os.Link(from, to) // unlike a rename, it replaces nothing
	if err == nil {
		failpoint.Here(failpoint.KeysLinked)
		return os.Remove(from)
	}
	// Some file systems have no links.
	if _, absent := os.Lstat(to); errors.Is(err, fs.ErrExist) || !errors.Is(absent, fs.ErrNotExist) {
		return &fs.PathError{Op: "create", Path: to, Err: fs.ErrExist}
	}
	return os.Rename(from, to)
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
