package segment

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"

	"github.com/sluicelog/sluice/eventlog"
)

// errUnreadable says that a place of a file cannot be read for good: damage.
var errUnreadable = fmt.Errorf("%w: it cannot be read", eventlog.ErrDamaged)

// How often what could not be read is read again before it counts as damage.
const (
	rereads     = 4
	rereadPause = 250 * time.Millisecond
)

const probeName = "probe" // of a file beside the partitions

// provenFS finds out what it means that a file cannot be read. A place that is
// lost is damage, and readers go on behind it. A disk that has failed or is away
// says nothing about what it holds: whoever took that for damage would pass over
// events that are there. So a read error is believed only while the same disk
// takes a write and a sync, and only when reading again does not help.
type provenFS struct {
	FS
	dir string // where to write; "" for nowhere: errors are believed at once

	mu sync.Mutex // held while the disk is proved
}

func (p *provenFS) Open(name string, write bool) (File, error) {
	f, err := p.FS.Open(name, write)
	if err != nil {
		return nil, err
	}
	return provenFile{f, p}, nil
}

func (p *provenFS) Create(name string) (File, error) {
	f, err := p.FS.Create(name)
	if err != nil {
		return nil, err
	}
	return provenFile{f, p}, nil
}

// provenFile answers errUnreadable for what is lost, and the disk's own error
// when that is not proved.
type provenFile struct {
	File
	proof *provenFS
}

func (f provenFile) ReadAt(b []byte, offset int64) (int, error) {
	n, err := f.File.ReadAt(b, offset)
	for try := 0; err != nil && !errors.Is(err, io.EOF); try++ {
		if broken := f.proof.probe(); broken != nil {
			return 0, fmt.Errorf("%w (and the disk takes no writes: %w)", err, broken)
		}
		if try == rereads || f.proof.dir == "" {
			return 0, fmt.Errorf("%w: %w", errUnreadable, err)
		}
		time.Sleep(rereadPause)
		n, err = f.File.ReadAt(b, offset)
	}
	return n, err
}

// probe proves that the disk takes a write and a sync.
func (p *provenFS) probe() error {
	if p.dir == "" {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	name := filepath.Join(p.dir, probeName)
	_ = p.FS.Remove(name) // of a process that died
	f, err := p.FS.Create(name)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(make([]byte, sectorBytes), 0)
	return errors.Join(err, f.Sync(), f.Close(), p.FS.Remove(name), p.FS.SyncDir(p.dir))
}
