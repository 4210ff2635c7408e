package ingest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"sync"
	"time"
)

// idSource makes UUIDs of version 7 (RFC 9562, 5.7 and 6.2): each is higher than
// the one before, even when the clock steps back. It may be used at once.
type idSource struct {
	mu     sync.Mutex
	millis uint64 // 48 bits
	high   uint16 // 12 bits: rand_a
	low    uint64 // 62 bits: rand_b
	random [256]byte
	unread []byte // of random
}

func newIDSource() *idSource { return &idSource{} }

const (
	lowBits  = 62
	highBits = 12
)

// next returns the next UUID, for a time in milliseconds since 1970.
func (s *idSource) next(millis uint64) (id [16]byte) {
	s.mu.Lock()
	if millis > s.millis {
		s.millis = millis
		s.high = uint16(s.draw(2)) & (1<<(highBits-1) - 1) // room to count up
		s.low = s.draw(8) & (1<<lowBits - 1)
	} else {
		s.low += s.draw(4) + 1
		if s.low>>lowBits != 0 {
			s.low &= 1<<lowBits - 1
			s.high++
		}
		if s.high>>highBits != 0 {
			s.high = 0
			s.millis++
		}
	}
	binary.BigEndian.PutUint64(id[:8], s.millis<<16|7<<12|uint64(s.high))
	binary.BigEndian.PutUint64(id[8:], 2<<lowBits|s.low)
	s.mu.Unlock()
	return id
}

// draw returns n random bytes as a number. Its caller holds mu.
func (s *idSource) draw(n int) (v uint64) {
	if len(s.unread) < n {
		_, _ = rand.Read(s.random[:]) // never fails: see crypto/rand
		s.unread = s.random[:]
	}
	for _, c := range s.unread[:n] {
		v = v<<8 | uint64(c)
	}
	s.unread = s.unread[n:]
	return v
}

// idMaker makes the ids of one request's events. With an idempotency key they
// are UUIDs of version 8: the first bits of the SHA-256 of the producer's source,
// a zero byte, the key, a zero byte and the event's index in 8 bytes, big endian.
type idMaker struct {
	ids    *idSource
	now    func() time.Time
	millis uint64 // of the request, 0 until it is needed
	key    []byte // what is hashed before the index, empty without a key
	index  int    // of the event
}

func (m *idMaker) begin(ids *idSource, now func() time.Time, hd *head) {
	m.ids, m.now, m.millis, m.key = ids, now, 0, m.key[:0]
	if hd.key != "" {
		m.key = append(append(append(m.key, hd.producer.Source...), 0), hd.key...)
		m.key = append(m.key, 0)
	}
}

// append appends the id of the event with the maker's index.
func (m *idMaker) append(dst []byte) []byte {
	if len(m.key) > 0 {
		return appendUUID(dst, m.derived())
	}
	if m.millis == 0 {
		m.millis = uint64(max(1, m.now().UnixMilli()))
	}
	return appendUUID(dst, m.ids.next(m.millis))
}

func (m *idMaker) derived() (id [16]byte) {
	prefix := len(m.key)
	m.key = binary.BigEndian.AppendUint64(m.key, uint64(m.index))
	sum := sha256.Sum256(m.key)
	m.key = m.key[:prefix]
	copy(id[:], sum[:])
	id[6] = id[6]&0x0f | 0x80 // version 8
	id[8] = id[8]&0x3f | 0x80 // variant of RFC 9562
	return id
}

// appendUUID appends id in its usual form.
func appendUUID(dst []byte, id [16]byte) []byte {
	for i, group := range [...][]byte{id[:4], id[4:6], id[6:8], id[8:10], id[10:]} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, group)
	}
	return dst
}
