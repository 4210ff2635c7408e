package sqlite

import "os"

// growth syncs the write-ahead log a second time after a commit that made the
// file longer. A file system that fails while it commits the new length may answer
// the first sync as if all were well: ext4 does, when its journal is given up in
// the middle of a sync. The second one finds out, since from then on every sync
// fails. Where the file does not grow there is no length to lose; SQLite writes it
// from the start again after each checkpoint, so that it grows seldom.
//
// The zero value with a path is ready. It is used by the one who writes.
type growth struct {
	path string
	file interface {
		Stat() (os.FileInfo, error)
		Sync() error
		ReadAt([]byte, int64) (int, error)
		Close() error
	} // nil until the first commit
	size int64 // of which the length is certainly on disk
}

// settle returns when the commit that was just made is on disk, whatever the file
// system said of it, or an error.
func (g *growth) settle() error {
	if g.file == nil {
		f, err := os.Open(g.path)
		if err != nil {
			return err
		}
		g.file = f
	}
	info, err := g.file.Stat()
	if err != nil {
		return err
	}
	if info.Size() > g.size {
		if err := g.file.Sync(); err != nil {
			return err
		}
	}
	g.size = info.Size()
	return nil
}

func (g *growth) close() error {
	if g.file == nil {
		return nil
	}
	return g.file.Close()
}
