package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"

	"github.com/sluicelog/sluice"
)

// exportForm turns what comes over the wire into a file's format, and finds the
// last whole event of a file that is not whole.
type exportForm interface {
	// wire is the format to ask the server for.
	wire() string
	// convert returns what chunk becomes in the file. It keeps none of its memory.
	convert(chunk []byte) []byte
	// end returns what closes the file.
	end() []byte
	// resume makes ready for going on with a file that has events.
	resume()
	// count returns how many events have come since the beginning or resume.
	count() uint64
	// counter returns what counts the events of a file, given to its convert.
	counter() exportForm
	// cut finds the last event of a file of which nothing but the first size bytes
	// is looked at: its id, and where the file is to be cut to go on behind it. The
	// id is "" when there is no whole event.
	cut(f io.ReaderAt, size int64) (id string, at int64, err error)
}

func (o *exportOptions) form() exportForm {
	switch o.Format {
	case "json":
		return &arrayForm{}
	case "csv":
		return &tableForm{}
	}
	return &lineForm{}
}

// lineForm is NDJSON.
type lineForm struct{ n uint64 }

func (*lineForm) wire() string        { return "ndjson" }
func (f *lineForm) end() []byte       { return nil }
func (f *lineForm) resume()           { f.n = 0 }
func (f *lineForm) count() uint64     { return f.n }
func (*lineForm) counter() exportForm { return &lineForm{} }

func (f *lineForm) convert(chunk []byte) []byte {
	f.n += uint64(bytes.Count(chunk, newline))
	return chunk
}

func (f *lineForm) cut(r io.ReaderAt, size int64) (string, int64, error) {
	end, err := lastNewline(r, size)
	if err != nil || end < 0 {
		return "", 0, err
	}
	id, err := idOfLine(r, end)
	return id, end + 1, err
}

var newline = []byte("\n")

// arrayForm is a JSON array with an event a line. It is made of lines, because a
// part of an array that is made elsewhere cannot be gone on with.
type arrayForm struct {
	n     uint64
	begun bool // the array
	line  bool // within a line
	buf   []byte
}

func (*arrayForm) wire() string        { return "ndjson" }
func (*arrayForm) counter() exportForm { return &lineForm{} } // a newline stands before each
func (f *arrayForm) count() uint64     { return f.n }
func (f *arrayForm) resume()           { f.n, f.begun, f.line = 0, true, false }

func (f *arrayForm) convert(chunk []byte) []byte {
	f.buf = f.buf[:0]
	for len(chunk) > 0 {
		switch {
		case f.line:
		case f.begun:
			f.buf = append(f.buf, ",\n"...)
		default:
			f.buf = append(f.buf, "[\n"...)
		}
		f.begun, f.line = true, true
		i := bytes.IndexByte(chunk, '\n')
		if i < 0 {
			return append(f.buf, chunk...)
		}
		f.buf = append(f.buf, chunk[:i]...)
		chunk, f.line = chunk[i+1:], false
		f.n++
	}
	return f.buf
}

func (f *arrayForm) end() []byte {
	if !f.begun {
		return []byte("[]\n")
	}
	return []byte("\n]\n")
}

// cut takes events for whole that another one follows.
func (f *arrayForm) cut(r io.ReaderAt, size int64) (string, int64, error) {
	for end := size; ; {
		var err error
		if end, err = lastNewline(r, end); err != nil || end < 1 {
			return "", 0, err
		}
		var before [1]byte
		if _, err := r.ReadAt(before[:], end-1); err != nil {
			return "", 0, err
		}
		if before[0] == ',' {
			id, err := idOfLine(r, end-1)
			return id, end - 1, err
		}
	}
}

// tableForm is CSV. A record may hold newlines, so files are read as a whole.
type tableForm struct {
	n    uint64
	head bool // the header has come
	drop bool // it is left out
	open bool // within quotes
}

func (*tableForm) wire() string        { return "csv" }
func (*tableForm) counter() exportForm { return &tableForm{} }
func (f *tableForm) end() []byte       { return nil }
func (f *tableForm) resume()           { *f = tableForm{drop: true} }
func (f *tableForm) count() uint64     { return f.n }

func (f *tableForm) convert(chunk []byte) []byte {
	from := 0
	for i, c := range chunk {
		switch {
		case c == '"':
			f.open = !f.open
		case c != '\n' || f.open:
		case f.head:
			f.n++
		default:
			if f.head = true; f.drop {
				from = i + 1
			}
		}
	}
	if f.drop && !f.head {
		return nil
	}
	return chunk[from:]
}

func (f *tableForm) cut(r io.ReaderAt, size int64) (id string, at int64, err error) {
	last, err := lastNewline(r, size)
	if err != nil || last < 0 {
		return "", 0, err
	}
	in := csv.NewReader(io.NewSectionReader(r, 0, last+1))
	in.ReuseRecord, in.FieldsPerRecord = true, -1
	for n := 0; ; n++ {
		row, err := in.Read()
		if _, broken := errors.AsType[*csv.ParseError](err); broken || errors.Is(err, io.EOF) {
			return id, at, nil // what follows is cut
		}
		if err != nil {
			return "", 0, err
		}
		if n > 0 {
			id, at = unguarded(row[0]), in.InputOffset()
		}
	}
}

// unguarded takes away what keeps spreadsheets from taking a text for a formula.
func unguarded(cell string) string {
	if len(cell) > 1 && cell[0] == '\'' && !isDigit(cell[1]) {
		return cell[1:]
	}
	return cell
}

// lastNewline returns where the last newline among the first size bytes is, -1
// when there is none.
func lastNewline(r io.ReaderAt, size int64) (int64, error) {
	var buf [64 << 10]byte
	for size > 0 {
		part := buf[:min(size, int64(len(buf)))]
		if _, err := r.ReadAt(part, size-int64(len(part))); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(part, '\n'); i >= 0 {
			return size - int64(len(part)) + int64(i), nil
		}
		size -= int64(len(part))
	}
	return -1, nil
}

// idOfLine returns the id of the event in the line that ends at end, as it stands
// there.
func idOfLine(r io.ReaderAt, end int64) (string, error) {
	begin, err := lastNewline(r, end)
	if err != nil {
		return "", err
	}
	if end-begin > maxLine+1 {
		return "", errors.New("the last line is too long for an event")
	}
	line := make([]byte, end-begin-1)
	if _, err := r.ReadAt(line, begin+1); err != nil {
		return "", err
	}
	var s sluice.Scanner
	_, env, _, err := s.Scan(nil, line)
	if err != nil {
		return "", fmt.Errorf("the last line is no event: %w", err)
	}
	return string(env.ID), nil
}
