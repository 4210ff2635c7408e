package s3

import (
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/sluicelog/sluice/destination"
)

// encoderVersion is the form of new objects. Version 1: one event a line, gzip.
const encoderVersion = 1

// level trades a tenth of an object's size for nearly twice the speed of the
// usual ones: compressing is most of what storing an event costs.
const level = 2

// Version returns 1.
func (b *Bucket) Version() int { return encoderVersion }

// Encoder implements [destination.ObjectStore].
func (b *Bucket) Encoder(version int, w io.Writer) (destination.ObjectEncoder, error) {
	if version != encoderVersion {
		return nil, fmt.Errorf("objects of version %d are not known: a later release began this one", version)
	}
	return newEncoder(w), nil
}

// encoder writes lines through gzip, whose header names neither time nor file, so
// that the same events give the same bytes.
type encoder struct {
	count counter
	gzip  *gzip.Writer
}

func newEncoder(w io.Writer) *encoder {
	e := &encoder{count: counter{w: w}}
	e.gzip, _ = gzip.NewWriterLevel(&e.count, level) // fails for unknown levels only
	e.gzip.ModTime = time.Unix(0, 0)                 // written as none; the zero Time is not
	return e
}

var newline = []byte{'\n'}

// Add writes the event as it was recorded, and a line end.
func (e *encoder) Add(ev *destination.Event) error {
	p := ev.Payload
	if n := len(p); cap(p) > n && p[:n+1][n] == '\n' {
		_, err := e.gzip.Write(p[:n+1])
		return err
	}
	if _, err := e.gzip.Write(p); err != nil {
		return err
	}
	_, err := e.gzip.Write(newline)
	return err
}

func (e *encoder) Written() int64 { return e.count.n }

func (e *encoder) Close() error { return e.gzip.Close() }

// counter counts what goes to w.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
