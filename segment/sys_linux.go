package segment

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

func dataSync(f *os.File) error {
	return retryInterrupted(f, func(fd int) error { return unix.Fdatasync(fd) })
}

func allocate(f *os.File, size int64) error {
	return retryInterrupted(f, func(fd int) error { return unix.Fallocate(fd, 0, 0, size) })
}

// uncache drops the clean pages of f. It is advice: a failure changes nothing.
func uncache(f *os.File) {
	_ = retryInterrupted(f, func(fd int) error { return unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED) })
}

// retryInterrupted calls do with f's descriptor until no signal interrupts it.
func retryInterrupted(f *os.File, do func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	err = conn.Control(func(fd uintptr) {
		for {
			if result = do(int(fd)); result != unix.EINTR {
				return
			}
		}
	})
	return errors.Join(err, os.NewSyscallError("sync or allocate "+f.Name(), result))
}
