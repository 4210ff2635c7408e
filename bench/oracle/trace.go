package oracle

import (
	"bufio"
	"fmt"
	"os"
	"sync"
)

// trace is a file with a line about each request that a receiver got: what to
// look at when something is wrong. It may be written to at once.
type trace struct {
	mu   sync.Mutex
	file *os.File
	w    *bufio.Writer
}

func openTrace(path string) (*trace, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("open trace: %w", err)
	}
	return &trace{file: f, w: bufio.NewWriter(f)}, nil
}

// request writes the line of a request. The receiver is locked.
func (t *trace) request(r *receiver, events [][]byte, stored bool, status int) {
	class, first, last := 0, "check", ""
	if n := len(events); n > 0 {
		class, first, last = r.classOf(events[0]), nameOf(events[0]), nameOf(events[n-1])
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.w, "%d life %d %s class %d: %d events %s to %s: stored %v, status %d\n",
		r.books.now(), r.life, r.spec.Name, class, len(events), first, last, stored, status)
}

// nameOf names an event in the trace.
func nameOf(payload []byte) string {
	if n, ok := numberOf(payload); ok {
		return fmt.Sprint(uint64(n))
	}
	return "own"
}

func (t *trace) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = t.w.Flush() // for eyes only
	_ = t.file.Close()
}
