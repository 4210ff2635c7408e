package segment

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/sluicelog/sluice/eventlog"
)

// What can be tried again is told from a disk that has failed.
func TestWantOfSpace(t *testing.T) {
	for err, want := range map[error]bool{
		syscall.ENOSPC: true, syscall.EDQUOT: true, syscall.EMFILE: true, syscall.ENFILE: true,
		syscall.EIO: false, syscall.EROFS: false,
	} {
		got := space(&os.PathError{Op: "open", Path: "f", Err: err})
		if errors.Is(got, eventlog.ErrFull) != want || !errors.Is(got, err) {
			t.Errorf("%v: got %v, want of space: %v", err, got, want)
		}
	}
}
