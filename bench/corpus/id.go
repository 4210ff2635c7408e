package corpus

import "encoding/binary"

// Marker starts every event that a [Generator] made: after it come the rest of
// the id, [SentOffset] bytes from the event's start the time of sending, and
// the payload.
const Marker = `{"id":"0198c0de-0000-7000-`

const (
	idOffset = len(Marker)
	idLength = 4 + 1 + 12
	sentKey  = `","sent_ns":`
	// SentOffset is where the time of sending stands: SentLength digits,
	// nanoseconds since 1970.
	SentOffset = idOffset + idLength + len(sentKey)
	// SentLength is good until the year 2286.
	SentLength = 19
	head       = Marker + "0000-000000000000" + sentKey + "0000000000000000000"
)

// MaxConnections is how many connections an id can tell apart.
const MaxConnections = 1 << 16

const seqBits = 48

// A Stamp is what the load generator writes into an event and the sink reads
// back: which connection sent it, the event's number in the whole run, and when
// it was sent.
type Stamp struct {
	Connection int
	Seq        uint64 // below 1<<48, dense over all connections, rising within one
	Sent       int64  // nanoseconds since 1970
}

// put writes s over the head of event.
func (s Stamp) put(event []byte) {
	putID(event[idOffset:], uint64(s.Connection)<<seqBits|s.Seq)
	digits := event[SentOffset : SentOffset+SentLength]
	n := uint64(s.Sent)
	for i := SentLength - 1; i >= 0; i-- {
		digits[i] = byte('0' + n%10)
		n /= 10
	}
}

const hexDigits = "0123456789abcdef"

// putID writes v as the random part of a version 7 UUID. It is mixed first, so
// that ids compress and hash as badly as real ones.
func putID(dst []byte, v uint64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], mix(v))
	for i, at := 0, 0; i < len(b); i++ {
		dst[at], dst[at+1] = hexDigits[b[i]>>4], hexDigits[b[i]&15]
		at += 2
		if i == 1 {
			dst[at] = '-'
			at++
		}
	}
}

// ParseStamp reads the stamp of an event that starts with [Marker]; ok is false
// when the event was not made by a [Generator]. The time of sending may stand in
// quotes, which Cloud Logging needs for numbers of its size.
func ParseStamp(event []byte) (s Stamp, ok bool) {
	if len(event) < SentOffset+SentLength+1 || string(event[:len(Marker)]) != Marker {
		return Stamp{}, false
	}
	var v uint64
	for i, c := range event[idOffset : idOffset+idLength] {
		switch {
		case i == 4:
		case c <= '9':
			v = v<<4 | uint64(c-'0')
		default:
			v = v<<4 | uint64(c-'a'+10)
		}
	}
	var sent int64
	digits := event[SentOffset:]
	if digits[0] == '"' {
		digits = digits[1:]
	}
	for _, c := range digits[:SentLength] {
		sent = sent*10 + int64(c-'0')
	}
	v = unmix(v)
	return Stamp{Connection: int(v >> seqBits), Seq: v & (1<<seqBits - 1), Sent: sent}, true
}

// A bijection of 64 bits: an odd factor and its inverse modulo 1<<64, between
// shifts that undo themselves.
const (
	factor  = 0xd6e8feb86659fd93
	inverse = 0xcfee444d8b59a89b
)

func mix(x uint64) uint64 {
	x = (x ^ x>>32) * factor
	x = (x ^ x>>32) * factor
	return x ^ x>>32
}

func unmix(x uint64) uint64 {
	x = (x ^ x>>32) * inverse
	x = (x ^ x>>32) * inverse
	return x ^ x>>32
}
