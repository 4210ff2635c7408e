package main

import (
	"context"
	"math"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// The soft memory limit. The collector runs more often when the process comes near
// it, and gives memory back. Small installations stay below memoryFloor and the
// program itself, about 20 MiB. What they have in use beyond memorySmall is
// thousands of streams: the limit then grows quickly to what lets the collector
// run seldom, memorySpare and a sixth more than is in use.
const (
	memoryFloor  = 120 << 20
	memorySmall  = 65 << 20
	memorySpare  = 95 << 20
	memoryPeriod = time.Second
)

// memoryLimit returns the soft limit for a heap of which live bytes are in use.
// It leaves the collector room at any size.
func memoryLimit(live uint64) int64 {
	const most = math.MaxInt64 / 4
	l := int64(min(live, most))
	return max(memoryFloor, min(memoryFloor+4*(l-memorySmall), l+l/6+memorySpare))
}

// boundMemory keeps the soft limit until ctx ends. An operator's GOMEMLIMIT or
// GOGC stands instead.
func boundMemory(ctx context.Context) error {
	if os.Getenv("GOMEMLIMIT") != "" || os.Getenv("GOGC") != "" {
		return nil
	}
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	tick := time.NewTicker(memoryPeriod)
	defer tick.Stop()
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for {
		if metrics.Read(sample); sample[0].Value.Kind() == metrics.KindUint64 {
			debug.SetMemoryLimit(memoryLimit(sample[0].Value.Uint64()))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
