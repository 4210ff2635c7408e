package sink

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"strconv"
	"strings"
)

// A request is one HTTP/1.1 request; its buffer serves the next one too.
type request struct {
	target  string
	body    []byte
	close   bool
	length  int
	chunked bool
	expects bool // Expect: 100-continue
	packed  bool // Content-Encoding: gzip
	unpacker
}

func (q *request) read(r *bufio.Reader, conn net.Conn) error {
	if err := q.readHead(r); err != nil {
		return err
	}
	if q.expects {
		if _, err := io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
			return err
		}
	}
	if q.chunked {
		return q.readChunks(r)
	}
	if cap(q.body) < q.length {
		q.body = make([]byte, q.length+q.length/4)
	}
	q.body = q.body[:q.length]
	_, err := io.ReadFull(r, q.body)
	return err
}

func (q *request) readHead(r *bufio.Reader) error {
	q.close, q.length, q.chunked, q.expects, q.packed = false, 0, false, false, false
	line, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	_, rest, _ := bytes.Cut(line, []byte(" "))
	target, proto, ok := bytes.Cut(rest, []byte(" "))
	if !ok || !bytes.HasPrefix(proto, []byte("HTTP/1.1")) {
		return fmt.Errorf("read request line %q: not HTTP/1.1", line)
	}
	if string(target) != q.target {
		q.target = string(target)
	}
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return nil
		}
		if err := q.field(line); err != nil {
			return err
		}
	}
}

// field reads the header fields that matter.
func (q *request) field(line []byte) (err error) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimSpace(value)
	switch {
	case strings.EqualFold(string(name), "Content-Length"):
		q.length, err = strconv.Atoi(string(value))
		if err == nil && (q.length < 0 || q.length > 64<<20) {
			err = fmt.Errorf("read content length %d: out of range", q.length)
		}
	case strings.EqualFold(string(name), "Transfer-Encoding"):
		q.chunked = strings.EqualFold(string(value), "chunked")
	case strings.EqualFold(string(name), "Connection"):
		q.close = strings.EqualFold(string(value), "close")
	case strings.EqualFold(string(name), "Expect"):
		q.expects = true
	case strings.EqualFold(string(name), "Content-Encoding"):
		q.packed = strings.EqualFold(string(value), "gzip")
	}
	return err
}

func (q *request) readChunks(r *bufio.Reader) error {
	body := bytes.NewBuffer(q.body[:0])
	if _, err := body.ReadFrom(httputil.NewChunkedReader(r)); err != nil {
		return err
	}
	q.body = body.Bytes()
	for { // the trailer
		line, err := r.ReadSlice('\n')
		if err != nil || len(bytes.TrimRight(line, "\r\n")) == 0 {
			return err
		}
	}
}
