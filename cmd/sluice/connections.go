//go:build unix

package main

import (
	"errors"
	"math"
	"net"

	"golang.org/x/net/netutil"
	"golang.org/x/sys/unix"
)

// Shares of the files and connections that the process may have open at once. What is
// left is for the log, control state, the index and deliveries: a flood of
// connections must not keep the log from its next file.
const (
	mainShare    = 2  // one in so many
	metricsShare = 16 // likewise
)

// bounded returns a listener that has no more connections open at once than one in
// so many of what the process may open; others wait until one of them is closed.
func bounded(l net.Listener, share int) (net.Listener, error) {
	n, err := descriptors()
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return netutil.LimitListener(l, max(1, n/share)), nil
}

// descriptors returns how many files and connections the process may have open. The
// runtime has raised that as far as it may.
func descriptors() (int, error) {
	var limit unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)
	return int(min(uint64(limit.Cur), math.MaxInt32)), err
}
