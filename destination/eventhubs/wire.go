package eventhubs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
)

// maxFrame bounds a frame of the far side. The library announces 64 KiB and then
// makes room for whatever a frame's header says, up to 2 GiB.
const maxFrame = 1 << 20

// Performatives and outcomes of AMQP 1.0 (core, 2.7 and 3.4), by descriptor.
const (
	descBegin       = 0x11
	descDisposition = 0x15
	descAccepted    = 0x24
	descRejected    = 0x25
)

var (
	errNotAccepted = errors.New("the destination neither accepted nor refused a batch")
	errFrameSize   = fmt.Errorf("the destination sent a frame of more than %d bytes", maxFrame)
	errProtocol    = errors.New("the destination does not speak AMQP 1.0")
)

// wire is a connection whose incoming frames are looked at on their way.
//
// A service may settle a batch as "released" or "modified", or without any
// outcome: then the batch was not stored. The library reports success for all
// but "rejected". So the last byte of such a frame is never handed on: reading
// fails instead, and with it every delivery that waits for an answer.
type wire struct {
	net.Conn

	scan scanner // used by the reader

	mu     sync.Mutex
	fault  error // why nothing more can be read
	unsent error // why something could not be written
	begins int   // begin frames seen
}

// Read implements [net.Conn].
func (w *wire) Read(p []byte) (int, error) {
	w.mu.Lock()
	fault := w.fault
	w.mu.Unlock()
	if fault != nil {
		return 0, fault
	}
	n, err := w.Conn.Read(p)
	good, scanErr := w.scan.feed(p[:n])
	if scanErr != nil {
		n, err = good, scanErr
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begins = w.scan.begins
	if err != nil {
		w.fault = err
	}
	return n, err
}

// Write implements [net.Conn].
func (w *wire) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	if err != nil && !errors.Is(err, net.ErrClosed) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.unsent = err
	}
	return n, err
}

// broken returns why the connection cannot be used, nil when it is good. The
// library closes a connection that it cannot write to, and then fails to read.
func (w *wire) broken() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.unsent != nil && (w.fault == nil || errors.Is(w.fault, net.ErrClosed)) {
		return w.unsent
	}
	return w.fault
}

// claimed reports whether the token was accepted: the library opens a session to
// put it, and another one for the link to the hub when that is done.
func (w *wire) claimed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.begins > 1
}

// scanner follows the frames of a connection (AMQP 1.0 core, 2.2 and 2.3).
type scanner struct {
	head   [headSize]byte // the beginning of the frame under way
	have   int            // bytes of head that are filled
	left   int            // bytes of the frame that are still to come, when its size is known
	begins int
}

// headSize is more than the largest disposition takes up to its outcome, behind the
// longest header of a frame (AMQP 1.0 core, 2.3.1: its length counts four bytes).
const headSize = 4*255 + 64

// feed takes the next bytes. It returns how many of them may be handed on: all,
// or, with an error, those before the end of the frame that is at fault.
func (s *scanner) feed(p []byte) (int, error) {
	for i := 0; i < len(p); {
		if s.left == 0 {
			s.head[s.have] = p[i]
			s.have++
			i++
			if s.have < 4 {
				continue
			}
			if err := s.begin(); err != nil {
				return i - 1, err
			}
			continue
		}
		n := min(s.left, len(p)-i)
		s.have += copy(s.head[s.have:], p[i:i+n])
		s.left -= n
		i += n
		if s.left > 0 {
			continue
		}
		if err := s.end(); err != nil {
			return i - 1, err
		}
		s.have = 0
	}
	return len(p), nil
}

// begin reads the size of a frame, or the name at the front of the eight bytes
// of a protocol header.
func (s *scanner) begin() error {
	if string(s.head[:4]) == "AMQP" {
		s.left = 4
		return nil
	}
	size := binary.BigEndian.Uint32(s.head[:4])
	switch {
	case size < 8:
		return errProtocol
	case size > maxFrame:
		return errFrameSize
	}
	s.left = int(size) - 4
	return nil
}

// end looks at a frame that is complete.
func (s *scanner) end() error {
	const offset, kind, amqp = 4, 5, 0
	f := s.head[:s.have]
	if len(f) < 8 || string(f[:4]) == "AMQP" || f[kind] != amqp {
		return nil
	}
	body := 4 * int(f[offset])
	if body >= len(f) {
		return nil // empty: it keeps the connection alive
	}
	r := reader{f[body:]}
	switch r.descriptor() {
	case descBegin:
		s.begins++
	case descDisposition:
		return r.disposition()
	}
	return nil
}

// reader takes apart the beginning of a performative. What it cannot read is 0.
type reader struct{ rest []byte }

func (r *reader) take(n int) []byte {
	if len(r.rest) < n {
		r.rest = nil
		return make([]byte, n)
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return out
}

// descriptor reads the descriptor of a described type, in either width.
func (r *reader) descriptor() uint64 {
	if r.take(1)[0] != 0 {
		return 0
	}
	switch r.take(1)[0] {
	case 0x53:
		return uint64(r.take(1)[0])
	case 0x80:
		return binary.BigEndian.Uint64(r.take(8))
	}
	return 0
}

// skip passes over a null, boolean or unsigned integer, and returns the boolean.
func (r *reader) skip() bool {
	switch r.take(1)[0] {
	case 0x41:
		return true
	case 0x56:
		return r.take(1)[0] == 1
	case 0x52:
		r.take(1)
	case 0x70:
		r.take(4)
	}
	return false
}

// disposition reads role, first, last, settled and state (AMQP 1.0 core, 2.7.6)
// and accepts no other outcome of what we sent than accepted and rejected.
func (r *reader) disposition() error {
	switch r.take(1)[0] {
	case 0xc0:
		r.take(2)
	case 0xd0:
		r.take(8)
	}
	if receiver := r.skip(); !receiver {
		return nil
	}
	r.skip()
	r.skip()
	r.skip()
	switch r.descriptor() {
	case descAccepted, descRejected:
		return nil
	}
	return errNotAccepted
}
