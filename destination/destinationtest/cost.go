package destinationtest

import "runtime"

// Cost returns how many more bytes of the heap are in use after f than before it,
// garbage left out. Tests that run at the same time count.
func Cost(f func()) int64 {
	before := inUse()
	f()
	return inUse() - before
}

func inUse() int64 {
	var m runtime.MemStats
	for range 3 { // pools are emptied by the second one
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
