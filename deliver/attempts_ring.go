package deliver

import (
	"bytes"
	"encoding/binary"
	"time"
)

const (
	// maxAttemptWords bounds the words of one attempt, in bytes.
	maxAttemptWords = 256
	// spareAttempts are kept beyond MaxAttempts, so that they are cut off many at
	// once.
	spareAttempts = 64
	// maxRing bounds the attempts of a lane, in bytes; crowdedRing does when the
	// rings of all lanes take more than crowded.
	maxRing     = 64 << 10
	crowdedRing = 1 << 10
	crowded     = 48 << 20
)

// ring keeps the last attempts of a lane, some 15 bytes each: differences to the
// one before, in variable length. It holds MaxAttempts, fewer only when the far
// side has long words that differ each time, or when very many lanes are busy.
type ring struct {
	b     []byte
	count int   // attempts in b
	base  point // before the first
	end   point // after the last
}

// point is what an attempt is told apart from.
type point struct {
	time  int64 // ms
	seq   uint64
	words string // of the last failure
}

// Bits of the first byte of an attempt.
const (
	classBits  = 0x07
	sameWords  = 0x08 // as the failure before
	partly     = 0x10 // a count of delivered events follows
	withWords  = 0x20
	withStatus = 0x40
)

// classes are the classes of attempts, as they are stored.
var classes = [...]string{"", "unavailable", "misconfigured", "rejected", "unknown"}

func classIndex(class string) byte {
	for i, c := range classes {
		if c == class {
			return byte(i)
		}
	}
	return byte(len(classes) - 1)
}

// headOf returns the first byte of an attempt.
func headOf(a *Attempt, sameAsBefore bool) byte {
	head := classIndex(a.Class)
	if a.Class == "" {
		return head
	}
	head |= withWords
	if sameAsBefore {
		head ^= withWords | sameWords
	}
	if a.Status != 0 {
		head |= withStatus
	}
	if a.Delivered != 0 {
		head |= partly
	}
	return head
}

// add keeps an attempt. most bounds the ring, in bytes, one attempt more or less.
func (r *ring) add(a *Attempt, most int) {
	switch {
	case r.count >= MaxAttempts+spareAttempts:
		r.cut(r.count - MaxAttempts)
	case len(r.b) > most:
		r.cut(r.count/2 + 1)
	}
	words := cutWords(a.Words)
	head := headOf(a, words == r.end.words)
	at := a.Time.UnixMilli()
	b := append(r.b, head)
	b = binary.AppendVarint(b, at-r.end.time)
	b = binary.AppendVarint(b, int64(a.First-r.end.seq))
	b = binary.AppendUvarint(b, a.Last-a.First)
	b = binary.AppendUvarint(b, uint64(a.Events))
	b = binary.AppendUvarint(b, uint64(a.Bytes))
	b = binary.AppendUvarint(b, uint64(max(0, a.Took)/time.Microsecond))
	if head&withStatus != 0 {
		b = binary.AppendUvarint(b, uint64(a.Status))
	}
	if head&partly != 0 {
		b = binary.AppendUvarint(b, uint64(a.Delivered))
	}
	if head&withWords != 0 {
		b = appendString(b, words)
		r.end.words = words
	}
	r.b, r.end.time, r.end.seq = b, at, a.Last
	r.count++
}

// cut drops the oldest n attempts.
func (r *ring) cut(n int) {
	read := reader{b: r.b, point: r.base}
	var a Attempt
	for range n {
		read.attempt(&a)
	}
	r.b = r.b[:copy(r.b, read.b)]
	r.base = read.point
	r.count -= n
	if cap(r.b) > 4*len(r.b)+maxAttemptWords {
		r.b = append([]byte(nil), r.b...)
	}
}

func cutWords(s string) string {
	if len(s) <= maxAttemptWords {
		return s
	}
	n := maxAttemptWords
	for n > 0 && s[n]&0xC0 == 0x80 { // in the middle of a character
		n--
	}
	return s[:n]
}

// list returns the attempts, the oldest first.
func (r *ring) list() []Attempt {
	read := reader{b: r.b, point: r.base}
	out := make([]Attempt, 0, r.count)
	for len(read.b) > 0 {
		var a Attempt
		if read.attempt(&a); read.bad {
			break
		}
		out = append(out, a)
	}
	return out
}

// encode appends the ring to b, decode reads it.
func (r *ring) encode(b []byte) []byte {
	b = binary.AppendVarint(b, r.base.time)
	b = binary.AppendUvarint(b, r.base.seq)
	b = appendString(b, r.base.words)
	return append(b, r.b...)
}

// decode takes over what read has left. It reports whether all could be read.
func (r *ring) decode(read *reader) bool {
	base := point{time: read.varint(), seq: read.uvarint()}
	base.words = string(read.bytes(read.uvarint()))
	b := bytes.Clone(read.b)
	walk := reader{b: b, point: base}
	count := 0
	for ; len(walk.b) > 0; count++ {
		var a Attempt
		walk.attempt(&a)
	}
	if read.bad || walk.bad {
		return false
	}
	*r = ring{b: b, count: count, base: base, end: walk.point}
	return true
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// reader reads what was stored; after the first thing that cannot be read it is
// bad and returns zeros.
type reader struct {
	b   []byte
	bad bool
	point
}

// attempt reads the next attempt.
func (r *reader) attempt(a *Attempt) {
	head := r.byte()
	r.time += r.varint()
	a.Time = time.UnixMilli(r.time).UTC()
	a.First = r.seq + uint64(r.varint())
	a.Last = a.First + r.uvarint()
	a.Events = int(r.uvarint())
	a.Bytes = int(r.uvarint())
	a.Took = time.Duration(r.uvarint()) * time.Microsecond
	a.Class, a.Status, a.Words = classes[min(int(head&classBits), len(classes)-1)], 0, ""
	if a.Delivered = a.Events; a.Class != "" {
		a.Delivered = 0
	}
	if head&withStatus != 0 {
		a.Status = int(r.uvarint())
	}
	if head&partly != 0 {
		a.Delivered = int(r.uvarint())
	}
	if head&withWords != 0 {
		r.words = string(r.bytes(r.uvarint()))
	}
	if head&(withWords|sameWords) != 0 {
		a.Words = r.words
	}
	r.seq = a.Last
}

func (r *reader) fail() {
	r.b, r.bad = nil, true
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// step returns the distance to what comes next, which is at most so far away.
func (r *reader) step(most int64) int64 {
	n := r.uvarint()
	if n > uint64(most) {
		r.fail()
		return 0
	}
	return int64(n)
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}
