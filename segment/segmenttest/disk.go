// Package segmenttest has a disk in memory that loses power, space and bits when
// it is told to, to show what a log in files survives.
//
// The disk keeps apart what was written and what was synced. Restart makes a new
// disk of what is left when the process dies, or when the power fails: then only
// what was synced is certain, and of the rest each sector and each name may have
// reached the platter or not.
package segmenttest

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"

	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/segment"
)

// Crash is how a disk is left behind.
type Crash int

const (
	// Kill is the death of the process: everything written is there, and what was
	// not synced can still be lost.
	Kill Crash = iota
	// Lose is a power cut: nothing is there that was not synced.
	Lose
	// Tear is a power cut in the middle of writing back: of what was not synced,
	// each sector of 512 bytes, each size and each name is there or not, at random.
	Tear
)

// ErrOff is the error of every operation after the one that StopAfter names.
var ErrOff = errors.New("disk is off")

// Op names an operation that changes the disk.
type Op string

const (
	Create   Op = "create"
	Remove   Op = "remove"
	SyncDir  Op = "sync folder"
	Write    Op = "write"
	Sync     Op = "sync"
	Allocate Op = "allocate"
	Truncate Op = "truncate"
)

// Disk is a [segment.FS]. All methods may be called at once.
type Disk struct {
	mu       sync.Mutex
	rnd      *rand.Rand
	names    map[string]*inode
	stable   map[string]*inode // names that were synced
	renames  []rename          // since then, in order
	dirs     map[string]bool
	locked   map[string]bool
	ops      int
	stop     int // 0: never
	capacity int64
	lazy     map[Op]bool
	fault    func(op Op, name string) error
}

type rename struct {
	name  string
	inode *inode // nil: removed
}

// inode is a file. Its fields are guarded by the disk's mu.
type inode struct {
	data    content
	stable  content
	pending []change
}

// content is bytes that may be shared with others until they are changed.
type content struct {
	b   []byte
	own bool
}

func (c *content) share() content {
	c.own = false
	return content{b: c.b}
}

// resize sets the length.
func (c *content) resize(n int64) {
	if have := int64(len(c.b)); n <= have {
		c.b = c.b[:n:n]
		return
	} else if !c.own {
		b := make([]byte, n)
		copy(b, c.b)
		c.b, c.own = b, true
	} else {
		c.b = append(c.b, make([]byte, n-have)...)
	}
}

func (c *content) write(b []byte, offset int64) {
	if end := offset + int64(len(b)); end > int64(len(c.b)) {
		c.resize(end)
	}
	if !c.own {
		c.b, c.own = slices.Clone(c.b), true
	}
	copy(c.b[offset:], b)
}

// change is a write, or the setting of a size when data is nil.
type change struct {
	offset int64
	data   []byte
}

// NewDisk returns an empty disk whose chances follow from seed.
func NewDisk(seed uint64) *Disk {
	return &Disk{rnd: rand.New(rand.NewPCG(seed, 1)), names: map[string]*inode{}, stable: map[string]*inode{},
		dirs: map[string]bool{}, locked: map[string]bool{}}
}

// Ops returns how many operations have changed the disk.
func (d *Disk) Ops() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ops
}

// StopAfter lets n operations succeed in all. A write that comes next may be done
// in part; everything from there on fails with [ErrOff].
func (d *Disk) StopAfter(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stop = n + 1
}

// SetCapacity limits the space that files may occupy; 0: no limit.
func (d *Disk) SetCapacity(n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.capacity = n
}

// SetFault has fault asked before each operation; its error is what the operation
// returns without doing anything. Nil ends that.
func (d *Disk) SetFault(fault func(op Op, name string) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = fault
}

// Ignore makes the disk lie: ops of the kinds given, Sync and SyncDir above all,
// succeed and do nothing.
func (d *Disk) Ignore(ops ...Op) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lazy = map[Op]bool{}
	for _, op := range ops {
		d.lazy[op] = true
	}
}

// Restart returns a disk with what is left after the crash. The old one is off.
func (d *Disk) Restart(how Crash) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stop = 1
	n := NewDisk(d.rnd.Uint64())
	n.dirs = maps.Clone(d.dirs)
	if how == Kill {
		n.copy(d)
		return n
	}
	for name, i := range d.left(how) {
		n.put(name, i.survive(how, d.rnd))
	}
	return n
}

// copy makes d, which is empty, the same as from.
func (d *Disk) copy(from *Disk) {
	made := map[*inode]*inode{nil: nil}
	clone := func(i *inode) *inode {
		if _, done := made[i]; !done {
			made[i] = &inode{data: i.data.share(), stable: i.stable.share(), pending: slices.Clone(i.pending)}
		}
		return made[i]
	}
	for name, i := range from.names {
		d.names[name] = clone(i)
	}
	for name, i := range from.stable {
		d.stable[name] = clone(i)
	}
	for _, r := range from.renames {
		d.renames = append(d.renames, rename{r.name, clone(r.inode)})
	}
}

// left returns the names that are there after the crash.
func (d *Disk) left(how Crash) map[string]*inode {
	names := maps.Clone(d.stable)
	for _, r := range d.renames {
		switch {
		case how == Lose || d.rnd.IntN(2) == 0:
		case r.inode == nil:
			delete(names, r.name)
		default:
			names[r.name] = r.inode
		}
	}
	return names
}

// survive returns what is left of a file after a power cut.
func (i *inode) survive(how Crash, rnd *rand.Rand) content {
	left := i.stable.share()
	if how == Lose {
		return left
	}
	for _, c := range i.pending {
		if c.data == nil {
			if rnd.IntN(2) == 0 {
				left.resize(c.offset)
			}
			continue
		}
		const sector = 512
		end := c.offset + int64(len(c.data))
		for at := c.offset; at < end; {
			next := min(end, (at/sector+1)*sector)
			if rnd.IntN(2) == 0 {
				left.write(c.data[at-c.offset:next-c.offset], at)
			}
			at = next
		}
	}
	return left
}

// put stores a durable file. The caller holds d.mu or is alone.
func (d *Disk) put(name string, c content) {
	i := &inode{data: c.share(), stable: c.share()}
	d.names[name], d.stable[name] = i, i
}

// Files returns the paths of all files, sorted.
func (d *Disk) Files() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.names))
}

// Get returns a copy of a file.
func (d *Disk) Get(name string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.names[name].data.b)
}

// Put replaces or makes a file, as somebody else than the log would; nil removes
// it. It is durable and counts as no operation.
func (d *Disk) Put(name string, data []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if data == nil {
		delete(d.names, name)
		delete(d.stable, name)
		return
	}
	d.put(name, content{b: slices.Clone(data)})
}

// Clone returns an independent disk with the same files, all of them durable.
func (d *Disk) Clone() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := NewDisk(d.rnd.Uint64())
	n.dirs = maps.Clone(d.dirs)
	for name, i := range d.names {
		n.put(name, i.data.share())
	}
	return n
}

// begin counts an operation. It reports whether to do it; and on the way to being
// off, an error together with doing it.
func (d *Disk) begin(op Op, name string) (do bool, err error) {
	if d.stop > 0 && d.ops+1 >= d.stop {
		do = d.ops+1 == d.stop
		d.ops++
		return do, fmt.Errorf("%s %s: %w", op, name, ErrOff)
	}
	if d.fault != nil {
		if err := d.fault(op, name); err != nil {
			return false, fmt.Errorf("%s %s: %w", op, name, err)
		}
	}
	d.ops++
	return !d.lazy[op], nil
}

// occupied returns the space taken by all files. The caller holds d.mu.
func (d *Disk) occupied() int64 {
	var n int64
	for _, i := range d.names {
		n += int64(len(i.data.b))
	}
	return n
}

func (d *Disk) room(more int64) error {
	if d.capacity > 0 && more > 0 && d.occupied()+more > d.capacity {
		return fmt.Errorf("%w: disk of %d bytes", eventlog.ErrFull, d.capacity)
	}
	return nil
}

var _ segment.FS = (*Disk)(nil)

// MkdirAll implements [segment.FS].
func (d *Disk) MkdirAll(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for ; !d.dirs[dir]; dir = filepath.Dir(dir) {
		d.dirs[dir] = true
	}
	return nil
}

// ReadDir implements [segment.FS].
func (d *Disk) ReadDir(dir string) ([]fs.DirEntry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.dirs[dir] {
		return nil, &fs.PathError{Op: "readdir", Path: dir, Err: fs.ErrNotExist}
	}
	var list []fs.DirEntry
	for name := range d.names {
		if filepath.Dir(name) == dir {
			list = append(list, entry{name: filepath.Base(name)})
		}
	}
	for name := range d.dirs {
		if filepath.Dir(name) == dir && name != dir {
			list = append(list, entry{name: filepath.Base(name), dir: true})
		}
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
	return list, nil
}

type entry struct {
	name string
	dir  bool
}

func (e entry) Name() string { return e.name }
func (e entry) IsDir() bool  { return e.dir }

func (e entry) Type() fs.FileMode {
	if e.dir {
		return fs.ModeDir
	}
	return 0
}

func (e entry) Info() (fs.FileInfo, error) { return nil, errors.ErrUnsupported }

// Create implements [segment.FS].
func (d *Disk) Create(name string) (segment.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.names[name] != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	do, err := d.begin(Create, name)
	i := &inode{}
	if do {
		d.names[name] = i
		d.renames = append(d.renames, rename{name, i})
	}
	return &file{disk: d, inode: i, name: name, write: true}, err
}

// Open implements [segment.FS].
func (d *Disk) Open(name string, write bool) (segment.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := d.names[name]
	if i == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &file{disk: d, inode: i, name: name, write: write}, nil
}

// Remove implements [segment.FS].
func (d *Disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.names[name] == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	do, err := d.begin(Remove, name)
	if do {
		delete(d.names, name)
		d.renames = append(d.renames, rename{name: name})
	}
	return err
}

// SyncDir implements [segment.FS].
func (d *Disk) SyncDir(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	do, err := d.begin(SyncDir, dir)
	if err != nil || !do {
		return err
	}
	for _, r := range d.renames {
		switch {
		case filepath.Dir(r.name) != dir:
		case r.inode == nil:
			delete(d.stable, r.name)
		default:
			d.stable[r.name] = r.inode
		}
	}
	d.renames = slices.DeleteFunc(d.renames, func(r rename) bool { return filepath.Dir(r.name) == dir })
	return nil
}

// Lock implements [segment.FS].
func (d *Disk) Lock(name string) (io.Closer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.locked[name] {
		return nil, segment.ErrLocked
	}
	d.locked[name] = true
	if d.names[name] == nil {
		d.put(name, content{})
	}
	return unlock{d, name}, nil
}

type unlock struct {
	disk *Disk
	name string
}

func (u unlock) Close() error {
	u.disk.mu.Lock()
	defer u.disk.mu.Unlock()
	delete(u.disk.locked, u.name)
	return nil
}
