package load

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"strconv"
	"strings"
	"time"
)

// timeout bounds the wait for one answer.
const timeout = 60 * time.Second

// A client is one kept connection; it dials when it has none.
type client struct {
	address string
	conn    net.Conn
	r       *bufio.Reader
	body    []byte // of the last answer
}

// do writes a whole request and reads the answer. After an error it is not known
// whether the server acted on the request, and the connection is closed.
func (c *client) do(ctx context.Context, request []byte) (status int, err error) {
	if err := c.open(ctx); err != nil {
		return 0, err
	}
	closes := false
	if _, err = c.conn.Write(request); err == nil {
		status, closes, err = c.read()
	}
	if err != nil || closes {
		c.close()
	}
	return status, err
}

// write writes lines and reads nothing. After an error the connection is closed.
func (c *client) write(ctx context.Context, lines []byte) error {
	if err := c.open(ctx); err != nil {
		return err
	}
	_, err := c.conn.Write(lines)
	if err != nil {
		c.close()
	}
	return err
}

// open dials when there is no connection, and gives what follows its time.
func (c *client) open(ctx context.Context) error {
	if c.conn == nil {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", c.address)
		if err != nil {
			return err
		}
		c.conn, c.r = conn, bufio.NewReaderSize(conn, 4096)
	}
	return c.conn.SetDeadline(time.Now().Add(timeout))
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// read reads one answer.
func (c *client) read() (status int, closes bool, err error) {
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		return 0, false, err
	}
	if len(line) < len("HTTP/1.1 200") || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, false, fmt.Errorf("read status line %q: not HTTP/1.1", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, false, fmt.Errorf("read status line %q: %w", line, err)
	}
	length, chunked := 0, false
	for {
		if line, err = c.r.ReadSlice('\n'); err != nil {
			return 0, false, err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case strings.EqualFold(string(name), "Content-Length"):
			if length, err = strconv.Atoi(string(value)); err != nil || length < 0 {
				return 0, false, fmt.Errorf("read content length %q: not a number", value)
			}
		case strings.EqualFold(string(name), "Transfer-Encoding"):
			chunked = strings.EqualFold(string(value), "chunked")
		case strings.EqualFold(string(name), "Connection"):
			closes = strings.EqualFold(string(value), "close")
		}
	}
	return status, closes, c.readBody(length, chunked)
}

func (c *client) readBody(length int, chunked bool) (err error) {
	if !chunked {
		c.body = append(c.body[:0], make([]byte, length)...)
		_, err = io.ReadFull(c.r, c.body)
		return err
	}
	if c.body, err = io.ReadAll(httputil.NewChunkedReader(c.r)); err != nil {
		return err
	}
	_, err = c.r.ReadSlice('\n') // the line that ends the trailer
	return err
}
