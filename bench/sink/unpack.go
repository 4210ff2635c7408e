package sink

import (
	"bytes"
	"fmt"

	"github.com/klauspost/compress/gzip"
)

// An unpacker inflates bodies; its buffers serve the next one too.
type unpacker struct {
	in  bytes.Reader
	zip gzip.Reader
	out bytes.Buffer
}

func (u *unpacker) unpack(packed []byte) ([]byte, error) {
	u.in.Reset(packed)
	if err := u.zip.Reset(&u.in); err != nil {
		return nil, fmt.Errorf("unpack body: %w", err)
	}
	u.out.Reset()
	if _, err := u.out.ReadFrom(&u.zip); err != nil {
		return nil, fmt.Errorf("unpack body: %w", err)
	}
	return u.out.Bytes(), nil
}

// content returns the body as it was before it was compressed.
func (q *request) content() ([]byte, error) {
	if !q.packed {
		return q.body, nil
	}
	return q.unpack(q.body)
}
