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
// program itself, about 20 MiB. What they have in use beyond that gets memorySpare,
// and room for what the collector has to look through, up to memoryTwice for twice
// that, so that it runs seldom where it is dear: thousands of streams are, blocks of
// events and the heads of the index are not.
const (
	memoryFloor  = 120 << 20
	memorySpare  = 45 << 20
	memoryTwice  = 80 << 20
	memoryPeriod = time.Second
)

// memoryLimit returns the soft limit for a heap of which live bytes are in use,
// and of those scanned may hold pointers. It leaves the collector room at any size.
func memoryLimit(live, scanned uint64) int64 {
	const most = math.MaxInt64 / 4
	l, s := int64(min(live, most)), int64(min(scanned, most))
	return max(memoryFloor, l+memorySpare+max(s, min(2*s, memoryTwice)))
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
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/heap:bytes"}}
	for {
		metrics.Read(samples)
		if samples[0].Value.Kind() == metrics.KindUint64 && samples[1].Value.Kind() == metrics.KindUint64 {
			debug.SetMemoryLimit(memoryLimit(samples[0].Value.Uint64(), samples[1].Value.Uint64()))
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
