package search

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/index"
)

// cut is a place between events: for each partition the lowest number behind it.
// A partition that is missing lies behind it as a whole.
type cut map[string]uint64

const (
	cursorVersion  = 1
	digestSize     = 12
	sumSize        = 16
	maxCursorBytes = 4 << 10
)

// cursor returns a cut in the form in which callers keep it: bound to the query,
// and to the log.
func (s *Service) cursor(c cut, digest [digestSize]byte) string {
	b := append([]byte{cursorVersion}, digest[:]...)
	for _, sh := range s.shelves {
		if seq, ok := c[sh.name]; ok {
			b = binary.AppendUvarint(b, uint64(len(sh.name)))
			b = binary.AppendUvarint(append(b, sh.name...), seq)
		}
	}
	return base64.RawURLEncoding.EncodeToString(append(b, s.sum(b)...))
}

// sum is the checksum of a cursor. The log's identity is its key: it tells what
// was changed by accident or for fun, and cursors of other servers. Nothing secret
// depends on it, since a cursor grants nothing.
func (s *Service) sum(b []byte) []byte {
	id := s.log.ID()
	key := sha256.Sum256(append([]byte("search cursor "), id[:]...))
	mac := hmac.New(sha256.New, key[:])
	mac.Write(b)
	return mac.Sum(nil)[:sumSize]
}

// parseCursor reads what cursor wrote.
func (s *Service) parseCursor(text string, digest [digestSize]byte) (cut, error) {
	broken := sluice.Errorf(sluice.Invalid, "the cursor is not one that this server gave out").
		WithHint("use \"next\" or \"previous\" of an answer as it stands, or leave the cursor out to begin again")
	if len(text) > maxCursorBytes {
		return nil, broken
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < 1+digestSize+sumSize {
		return nil, broken
	}
	body, sum := b[:len(b)-sumSize], b[len(b)-sumSize:]
	if !hmac.Equal(sum, s.sum(body)) || body[0] != cursorVersion {
		return nil, broken
	}
	if !slices.Equal(body[1:1+digestSize], digest[:]) {
		return nil, sluice.Errorf(sluice.Invalid, "the cursor belongs to another search").
			WithHint("namespace, phrase and order have to be those of the answer that the cursor comes from")
	}
	c := cut{}
	for rest := body[1+digestSize:]; len(rest) > 0; {
		n, size := binary.Uvarint(rest)
		if size <= 0 || n > uint64(len(rest)-size) {
			return nil, broken
		}
		name := string(rest[size : size+int(n)])
		rest = rest[size+int(n):]
		seq, size := binary.Uvarint(rest)
		if size <= 0 {
			return nil, broken
		}
		c[name], rest = seq, rest[size:]
	}
	return c, nil
}

// digestOf returns what tells a query and order from others.
func digestOf(q *index.Query, order Order) (d [digestSize]byte) {
	b := []byte{byte(order)}
	text := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	term := func(t index.Term) { b = append(b, byte(t.Field)); text(t.Value) }
	span := func(r index.Range) {
		for _, t := range []int64{r.From.UnixMicro(), r.To.UnixMicro()} {
			b = binary.BigEndian.AppendUint64(b, uint64(t))
		}
	}
	scope, all := q.Scope.Terms()
	b = binary.AppendUvarint(append(b, flag(all)), uint64(len(scope)))
	for _, t := range scope {
		term(t)
	}
	span(q.Accepted)
	for i := range q.Clauses {
		c := &q.Clauses[i]
		b = append(b, flag(c.Not), flag(c.All))
		for _, n := range []int{len(c.Terms), len(c.IDs), len(c.Ranges)} {
			b = binary.AppendUvarint(b, uint64(n))
		}
		for _, t := range c.Terms {
			term(t)
		}
		for _, id := range c.IDs {
			text(id)
		}
		for _, r := range c.Ranges {
			span(r)
		}
	}
	sum := sha256.Sum256(b)
	copy(d[:], sum[:])
	return d
}

// digestWithin returns the digest of a query to one partition, or namespace, only.
func digestWithin(d [digestSize]byte, narrower string) [digestSize]byte {
	sum := sha256.Sum256(append(d[:], narrower...))
	copy(d[:], sum[:])
	return d
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}
