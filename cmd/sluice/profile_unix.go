//go:build unix

package main

import (
	"errors"
	"os"
	"os/signal"
	"runtime/pprof"

	"golang.org/x/sys/unix"
)

// startProfile writes a CPU profile to the file that SLUICE_CPUPROFILE names.
// SIGUSR1 begins it anew, so that what came before does not count.
func startProfile(env *Env) (stop func(), err error) {
	path := env.Getenv("SLUICE_CPUPROFILE")
	if path == "" {
		return func() {}, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	again, done := make(chan os.Signal, 1), make(chan struct{})
	ended := make(chan struct{})
	signal.Notify(again, unix.SIGUSR1)
	go func() {
		defer close(ended)
		for {
			select {
			case <-again:
				restartProfile(f)
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(again)
		close(done)
		<-ended
		pprof.StopCPUProfile()
		_ = f.Close() // a profile that is cut short shows when it is read
	}, nil
}

// restartProfile throws away what was measured. A file that cannot be cut holds a
// profile that cannot be read: that shows by itself.
func restartProfile(f *os.File) {
	pprof.StopCPUProfile()
	if _, err := f.Seek(0, 0); err == nil && f.Truncate(0) == nil {
		_ = pprof.StartCPUProfile(f)
	}
}
