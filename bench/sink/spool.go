package sink

import (
	"fmt"
	"os"
	"sync"
)

// A spool keeps bodies in a file until they are counted.
type spool struct {
	mu   sync.Mutex // guards what follows
	size int64
	kept []kept
	unpacker
}

// kept is a body in the file.
type kept struct {
	path   string
	at     int64 // when it was complete
	from   int64
	length int
	packed bool
}

// keep puts the body of a request into the file.
func (l *spool) keep(file *os.File, path string, req *request, now int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := file.WriteAt(req.body, l.size)
	if err != nil {
		return fmt.Errorf("keep body: %w", err)
	}
	l.kept = append(l.kept, kept{path: path, at: now, from: l.size, length: n, packed: req.packed})
	l.size += int64(n)
	return nil
}

// count calls f for each body that was kept since the last time. What cannot be
// read is left out: its events are missing then.
func (l *spool) count(file *os.File, f func(path string, body []byte, at int64)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var body []byte
	for _, k := range l.kept {
		body = append(body[:0], make([]byte, k.length)...)
		_, err := file.ReadAt(body, k.from)
		plain := body
		if err == nil && k.packed {
			plain, err = l.unpack(body)
		}
		if err == nil {
			f(k.path, plain, k.at)
		}
	}
	l.kept, l.size = nil, 0
}
