//go:build linux

// Package powercut makes a disk that loses power: an ext4 file system of its own
// on a loop device, which is shut down at once without writing anything more. What
// was not synced is gone then, as it is when a machine loses power: pages that
// only memory held, names of new files, sizes. What was synced has to be there.
//
// Root alone may make one, and nothing else of the machine is touched: it is in a
// file, and mounted in a mount namespace that ends with the process (see [Enter]).
package powercut

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Request and argument of ext4's shutdown: stop now, and do not write the journal
// either (EXT4_IOC_SHUTDOWN and EXT4_GOING_FLAGS_NOLOGFLUSH in Linux, fs/ext4/ext4.h).
const (
	ioctlShutdown = 0x8004587d
	withoutFlush  = 2
)

// A Disk is a mounted file system. Its methods may be called by one goroutine at
// a time.
type Disk struct {
	image string
	path  string
	// failed is set from [Disk.Fail] to the next mount.
	failed bool
}

// New makes a disk of size bytes, at least 32 MiB, in dir, which has to be there.
// The process must have been given a mount namespace of its own ([Enter]).
func New(ctx context.Context, dir string, size int64) (*Disk, error) {
	d := &Disk{image: filepath.Join(dir, "disk.img"), path: filepath.Join(dir, "disk")}
	f, err := os.Create(d.image)
	if err != nil {
		return nil, fmt.Errorf("make a disk: %w", err)
	}
	if err := errors.Join(f.Truncate(size), f.Close(), os.Mkdir(d.path, 0o700)); err != nil {
		return nil, fmt.Errorf("make a disk: %w", err)
	}
	if err := run(ctx, "mkfs.ext4", "-q", "-F", d.image); err != nil {
		return nil, err
	}
	return d, d.mount(ctx)
}

// Path returns where the disk is mounted, which does not change.
func (d *Disk) Path() string { return d.path }

// Fail ends the file system without a sync: from now on every write and every
// sync of it fails with an I/O error, as those of a disk that breaks do. What
// memory holds can still be read.
func (d *Disk) Fail() error {
	f, err := os.Open(d.path)
	if err != nil {
		return fmt.Errorf("stop the disk: %w", err)
	}
	defer f.Close()
	if err := unix.IoctlSetPointerInt(int(f.Fd()), ioctlShutdown, withoutFlush); err != nil {
		return fmt.Errorf("stop the disk: %w", err)
	}
	d.failed = true
	return nil
}

// Cut takes the power away and gives it back: what was not synced is lost. No
// process may have a file of the disk open.
func (d *Disk) Cut(ctx context.Context) error {
	if !d.failed {
		if err := d.Fail(); err != nil {
			return err
		}
	}
	if err := run(ctx, "umount", d.path); err != nil {
		return err
	}
	return d.mount(ctx)
}

// filler is the file that [Disk.Fill] makes.
const filler = "filler"

// Fill takes space until so many bytes are left to those who are not root, or, when
// that is 0, until there is none for anybody.
func (d *Disk) Fill(free int64) error {
	f, err := os.OpenFile(filepath.Join(d.path, filler), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("fill the disk: %w", err)
	}
	defer f.Close()
	var size int64
	for step := int64(64 << 20); step >= 4<<10; {
		var st unix.Statfs_t
		if err := unix.Statfs(d.path, &st); err != nil {
			return fmt.Errorf("fill the disk: %w", err)
		}
		if left := int64(st.Bavail) * st.Bsize; free > 0 && left-step < free {
			if left-free < 4<<10 {
				return nil
			}
			step /= 2
			continue
		}
		switch err := unix.Fallocate(int(f.Fd()), 0, size, step); {
		case errors.Is(err, unix.ENOSPC):
			step /= 2
		case err != nil:
			return fmt.Errorf("fill the disk: %w", err)
		default:
			size += step
		}
	}
	return nil
}

// Empty gives back what Fill has taken.
func (d *Disk) Empty() error {
	if err := os.Remove(filepath.Join(d.path, filler)); err != nil {
		return fmt.Errorf("empty the disk: %w", err)
	}
	return nil
}

// Close unmounts the disk. Its image stays in the folder of [New], for those who
// want to know what was on it.
func (d *Disk) Close() error {
	return errors.Join(run(context.Background(), "umount", d.path), os.Remove(d.path))
}

func (d *Disk) mount(ctx context.Context) error {
	d.failed = false
	return run(ctx, "mount", "-o", "loop", d.image, d.path)
}

func run(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// entered is set for a process that [Enter] has started.
const entered = "SLUICE_BENCH_MOUNTS=own"

// Enter runs the program again, in a mount namespace of its own, unless that was
// done already: it returns the exit code of that run, and true. Mounts end with it
// then, whatever becomes of the process. Only root may do so; others get false,
// and what [Allowed] says.
func Enter() (code int, ran bool) {
	if Allowed() != nil || os.Getenv("SLUICE_BENCH_MOUNTS") != "" {
		return 0, false
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), entered)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		fmt.Fprintln(os.Stderr, "run in a mount namespace:", err)
		return 1, true
	}
	return cmd.ProcessState.ExitCode(), true
}

// Allowed says why this process cannot make disks, nil when it can.
func Allowed() error {
	if os.Geteuid() != 0 {
		return errors.New("a disk that loses power is a file system on a loop device, which root alone may mount")
	}
	return nil
}
