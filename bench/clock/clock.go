//go:build linux && amd64

// Package clock makes a server whose wall clock can be set while it runs, as an
// administrator, a bad time server or a machine that wakes up sets it: by a day
// ahead, and back. What Go measures durations with stays as it is, as in life.
//
// The server is the real one with one file more (see [Edits]): the program changes
// its own function behind time.Now when it starts, so that it adds an offset, and
// reads the offset from a file that it shares with the drill. So every package
// sees the same wrong time, those of others included.
package clock

import (
	_ "embed"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/sluicelog/sluice/bench/mutant"
)

// A Clock is how far the wall clocks of servers are ahead of the machine's. Its
// methods may be called at once.
type Clock struct {
	path   string
	memory []byte
	offset *atomic.Int64 // in memory
}

// New makes a clock that is right, in a new file.
func New(path string) (*Clock, error) {
	if err := os.WriteFile(path, make([]byte, 8), 0o600); err != nil {
		return nil, fmt.Errorf("make clock: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("make clock: %w", err)
	}
	defer f.Close()
	memory, err := syscall.Mmap(int(f.Fd()), 0, 8, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("make clock: %w", err)
	}
	return &Clock{path, memory, (*atomic.Int64)(unsafe.Pointer(&memory[0]))}, nil
}

// Close gives the memory back; servers keep the time that they have.
func (c *Clock) Close() error { return syscall.Munmap(c.memory) }

// Env is what a server's environment needs.
func (c *Clock) Env() string { return "DRILL_CLOCK=" + c.path }

// Set sets the clocks of all servers at once.
func (c *Clock) Set(ahead time.Duration) { c.offset.Store(int64(ahead)) }

// Ahead returns what Set has set.
func (c *Clock) Ahead() time.Duration { return time.Duration(c.offset.Load()) }

// Now is what a server's wall clock shows.
func (c *Clock) Now() time.Time { return time.Now().Round(0).Add(c.Ahead()) }

//go:embed testdata/shift_amd64.go.txt
var shift string

// Edits gives the server a clock that can be set, besides other edits. It is built
// with Flag, and does not start without Env.
func Edits(others ...mutant.Edit) []mutant.Edit {
	return append([]mutant.Edit{{File: "cmd/sluice/drill_clock.go", New: shift}}, others...)
}

// Flag is what go build needs for the edits: the linker is to let a function of
// another package be named.
const Flag = "-ldflags=-checklinkname=0"
