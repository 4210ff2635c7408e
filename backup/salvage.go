package backup

import (
	"errors"
	"fmt"
	"io"
	"syscall"
)

const (
	// page is what is given up at once around a place that cannot be read.
	page = 4 << 10
	// maxLost is how much of a file may be unreadable, in bytes: beyond that it is the
	// disk that has failed, or is away, and says nothing about what it holds.
	maxLost = 1 << 20
	// unreadable stands for bytes that are lost: it occurs nowhere as often.
	unreadable = 0xff
)

// salvage reads a file of which places cannot be read any more. A page that is lost
// comes from the backup before, as far as that has it; else it is filled.
type salvage struct {
	from   io.ReaderAt
	before io.ReaderAt // the first bytes of the file, as they were; nil for none
	offset int64
	lost   int64 // bytes that were filled
	failed int64 // bytes that could not be read
}

// Read implements [io.Reader].
func (s *salvage) Read(b []byte) (int, error) {
	n, err := s.from.ReadAt(b, s.offset)
	switch sick := errors.Is(err, syscall.EIO); {
	case sick && n > 0:
		err = nil // the next read meets it
	case sick:
		b = b[:min(len(b), page-int(s.offset%page))]
		n, err = s.from.ReadAt(b, s.offset)
		if n < len(b) && errors.Is(err, syscall.EIO) {
			n, err = len(b), s.replace(b, err)
		}
	}
	s.offset += int64(n)
	return n, err
}

// replace fills a page that cannot be read for a cause.
func (s *salvage) replace(b []byte, cause error) error {
	if s.failed += int64(len(b)); s.failed > maxLost {
		return fmt.Errorf("more than %d bytes of it cannot be read: %w", maxLost, cause)
	}
	if s.before != nil {
		if _, err := s.before.ReadAt(b, s.offset); err == nil {
			return nil
		}
	}
	for i := range b {
		b[i] = unreadable
	}
	s.lost += int64(len(b))
	return nil
}
