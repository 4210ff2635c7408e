//go:build failpoint

package failpoint

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

const (
	deathVariable = "SLUICE_FAILPOINT"
	logVariable   = "SLUICE_FAILPOINT_LOG"
)

// Variables returns the environment variables that are read.
func Variables() []string { return []string{deathVariable, logVariable} }

// Here ends the process if the environment says so: see the package. It may be
// called by many goroutines at once.
func Here(p Point) { state().arrive(p) }

// state is made at the first arrival.
var state = sync.OnceValue(func() *arrivals {
	a, err := newArrivals(os.Getenv(deathVariable), os.Getenv(logVariable))
	if err != nil {
		panic(err) // a drill that asks for what does not exist would find nothing
	}
	return a
})

// arrivals counts how often each point was reached.
type arrivals struct {
	counts [count]atomic.Int64
	fatal  Point
	at     int64 // the arrival that is the last; 0 for none
	log    *os.File
}

func newArrivals(death, log string) (*arrivals, error) {
	a := &arrivals{}
	if death != "" {
		name, times, _ := strings.Cut(death, ":")
		i := slices.IndexFunc(Points(), func(p Point) bool { return p.String() == name })
		at, err := strconv.ParseInt(times, 10, 64)
		if i < 0 || err != nil || at < 1 {
			return nil, fmt.Errorf("%s=%s: want a point's name and the number of an arrival, 1 or more", deathVariable, death)
		}
		a.fatal, a.at = Point(i), at
	}
	if log == "" {
		return a, nil
	}
	var err error
	a.log, err = os.OpenFile(log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	return a, err
}

func (a *arrivals) arrive(p Point) {
	n := a.counts[p].Add(1)
	if n == 1 && a.log != nil {
		_, _ = a.log.WriteString(p.String() + "\n") // whoever reads it misses the line
	}
	if p == a.fatal && n == a.at {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // until the signal is there
	}
}
