package flip

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sluicelog/sluice/eventlog"
)

// Kinds of files.
const (
	logKind      = "log"
	indexKind    = "index"
	controlKind  = "control.db"
	walKind      = "control.db-wal"
	snapshotKind = "snapshot"
	keyKind      = "key file"
	// besideKind are files that only help while a server runs: locks, SQLite's shared
	// memory, what takes space for a full disk, what a kill has left of an object.
	besideKind = "files of no use after a stop"
)

// kinds are all kinds, the log first.
func kinds() []string {
	return []string{logKind, indexKind, controlKind, walKind, snapshotKind, keyKind, besideKind}
}

// turns is how often the kinds come, one seed after another.
func turns() []string {
	return []string{logKind, controlKind, logKind, indexKind, logKind, walKind, logKind, keyKind, logKind, snapshotKind, logKind, controlKind, logKind, besideKind}
}

// A flip is one bit of one file.
type flip struct {
	seed   uint64
	state  *state
	kind   string
	file   string // in the folder of data
	offset int64
	bit    uint8
	region string // what lies there
}

func (f flip) String() string {
	return fmt.Sprintf("seed %d: bit %d of byte %d of %s in %s (%s)", f.seed, f.bit, f.offset, f.file, filepath.Base(f.state.dir), f.region)
}

// choose draws a flip. The same seed gives the same one for the same sample.
func (s *sample) choose(seed uint64) (flip, error) {
	rnd := rand.New(rand.NewPCG(seed, 7))
	f := flip{seed: seed, kind: turns()[seed%uint64(len(turns()))], state: s.states[rnd.IntN(len(s.states))], bit: uint8(rnd.IntN(8))}
	var err error
	switch f.kind {
	case logKind:
		err = f.inLog(rnd)
	case indexKind:
		err = f.inPages(rnd, "index/*.db", "index/*.db-wal")
	case controlKind:
		err = f.inPages(rnd, controlFile)
	case walKind:
		f.state = s.states[1]
		err = f.inPages(rnd, controlFile+"-wal")
	case snapshotKind:
		f.state = s.states[0]
		err = f.inPages(rnd, "snapshots/*.db")
	case keyKind:
		err = f.inKeys(rnd)
	case besideKind:
		err = f.inPages(rnd, besides()...)
	}
	return f, err
}

// besides are the files of besideKind. Those that an index has beside it are made
// anew by the drill itself.
func besides() []string {
	return []string{controlFile + "-shm", controlFile + ".lock", "log/lock", "reserve", "spool/*"}
}

// Regions of the log.
const (
	inHeader    = "block header"
	inDirectory = "block directory"
	inFrames    = "block frames"
	inFooter    = "footer"
	inSpace     = "space behind the last block"
)

// inLog draws a place in the log: a region first, since most bytes lie in frames.
func (f *flip) inLog(rnd *rand.Rand) error {
	names := []string{"audit", "git"}
	name := names[rnd.IntN(len(names))]
	p := f.state.parts[name]
	b := p.places[rnd.IntN(len(p.places))]
	if rnd.IntN(5) == 0 { // ends of files and of the log are where a start looks
		ends := p.ends()
		b = ends[rnd.IntN(len(ends))]
	}
	f.region = []string{inHeader, inHeader, inDirectory, inFrames, inFrames, inFooter, inSpace}[rnd.IntN(7)]
	switch f.region {
	case inHeader:
		f.offset = b.offset + rnd.Int64N(eventlog.HeaderSize)
	case inDirectory:
		f.offset = b.offset + eventlog.HeaderSize + rnd.Int64N(b.directory)
	case inFrames:
		from := b.offset + eventlog.HeaderSize + b.directory
		f.offset = from + rnd.Int64N(b.end()-from)
	case inFooter, inSpace:
		ends := p.ends()
		b = ends[rnd.IntN(len(ends)-1)]
		if f.region == inSpace {
			b = ends[len(ends)-1]
		}
		info, err := os.Stat(filepath.Join(f.state.dir, "log", name, b.file))
		if err != nil {
			return err
		}
		room := info.Size() - b.end()
		if rnd.IntN(2) == 0 {
			room = min(room, 70<<10) // zeros were written there ahead
		}
		f.offset = b.end() + rnd.Int64N(room)
	}
	f.file = filepath.Join("log", name, b.file)
	return nil
}

// ends returns the last block of each file.
func (p *part) ends() (ends []place) {
	for i := range p.places {
		if i+1 == len(p.places) || p.places[i+1].file != p.places[i].file {
			ends = append(ends, p.places[i])
		}
	}
	return ends
}

// inPages draws a place in one of the files: anywhere, in the head of a page, or
// near an end of the file.
func (f *flip) inPages(rnd *rand.Rand, patterns ...string) error {
	const page = 4096
	var files []string
	for _, p := range patterns {
		found, err := filepath.Glob(filepath.Join(f.state.dir, p))
		if err != nil {
			return err
		}
		files = append(files, found...)
	}
	slices.Sort(files)
	for len(files) > 0 {
		i := rnd.IntN(len(files))
		info, err := os.Stat(files[i])
		if err != nil {
			return err
		}
		if size := info.Size(); size > 0 {
			f.file = strings.TrimPrefix(files[i], f.state.dir+"/")
			f.offset, f.region = rnd.Int64N(size), "anywhere"
			switch rnd.IntN(4) {
			case 0:
				f.offset, f.region = min(f.offset/page*page+rnd.Int64N(120), size-1), "head of a page"
			case 1:
				f.offset, f.region = min(rnd.Int64N(200), size-1), "head"
			case 2: // where control.db says that there is a write-ahead log
				f.offset, f.region = size-1-rnd.Int64N(min(size, 64)), "end"
			}
			return nil
		}
		files = slices.Delete(files, i, i+1)
	}
	return fmt.Errorf("no file matches %q in %s", patterns, f.state.dir)
}

// inKeys draws a place in the key file: mostly behind the note at its head.
func (f *flip) inKeys(rnd *rand.Rand) error {
	text, err := os.ReadFile(filepath.Join(f.state.dir, keyFile))
	if err != nil {
		return err
	}
	f.file, f.region = keyFile, "keys"
	note := int64(strings.Index(string(text), "sluice-keys"))
	f.offset = note + rnd.Int64N(int64(len(text))-note)
	if rnd.IntN(4) == 0 {
		f.offset, f.region = rnd.Int64N(note), "note"
	}
	return nil
}

// apply changes the bit in a copy of the data.
func (f *flip) apply(dir string) error {
	file, err := os.OpenFile(filepath.Join(dir, f.file), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	b := make([]byte, 1)
	if _, err = file.ReadAt(b, f.offset); err == nil {
		b[0] ^= 1 << f.bit
		_, err = file.WriteAt(b, f.offset)
	}
	if closing := file.Close(); err == nil {
		err = closing
	}
	return err
}

// block returns the block that the flip lies in, nil when it lies in none.
func (f *flip) block() (partition string, b *place) {
	folder, file := filepath.Split(f.file)
	partition = filepath.Base(folder)
	p := f.state.parts[partition]
	if p == nil || f.kind != logKind {
		return partition, nil
	}
	for i := range p.places {
		if b := &p.places[i]; b.file == file && f.offset >= b.offset && f.offset < b.end() {
			return partition, b
		}
	}
	return partition, nil
}
