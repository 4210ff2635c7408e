package rest

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
)

// processMetrics tells what the process takes of the machine, under the names that
// Prometheus' own clients use. A figure that the system does not tell is left out.
func processMetrics(m *exposition) {
	m.one("go_goroutines", "gauge", "Goroutines of the server.", float64(runtime.NumGoroutine()))
	if n, ok := openFiles(); ok {
		m.one("process_open_fds", "gauge", "Open files and connections of the server.", float64(n))
	}
	if n, ok := resident(); ok {
		m.one("process_resident_memory_bytes", "gauge", "Memory of the server.", float64(n))
	}
}

// openFiles counts the descriptors of the process, see proc(5), without the one
// that counting takes.
func openFiles() (n int, ok bool) {
	list, err := os.ReadDir("/proc/self/fd")
	return len(list) - 1, err == nil
}

// resident is the second number of /proc/self/statm, in pages: proc(5).
func resident() (int64, bool) {
	text, err := os.ReadFile("/proc/self/statm")
	fields := bytes.Fields(text)
	if err != nil || len(fields) < 2 {
		return 0, false
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	return pages * int64(os.Getpagesize()), err == nil
}
