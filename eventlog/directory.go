package eventlog

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/sluicelog/sluice"
)

// Directory tells what is in a block without decoding its frames.
type Directory struct {
	// Missing is the range before this block that is known to be lost, as the
	// first block after a start that found it names it. Nil in every other block.
	Missing *Missing
	// Tops lists the top-level namespaces that have events in this block.
	Tops []Top
	// Others holds the totals of all other top-level namespaces; it is filled in
	// blocks whose header says Snapshot.
	Others     []Top
	Namespaces []Namespace
	Types      []Type
	Sources    []string
	Frames     []Frame
	Entries    []Entry
}

// Missing is a range of sequence numbers that were given out, or may have been,
// and whose events are not there.
type Missing struct {
	First, Last uint64
	Cause       string
}

// Top is a top-level namespace with its running total.
type Top struct {
	Name  string // folded; "" for events that belong to the instance alone
	Total uint64 // its events in the partition up to the end of the block
}

// Namespace is a namespace that events of the block belong to.
type Namespace struct {
	Path   string // as the events spell it
	Folded string
	Top    uint32 // index into Tops
}

// Type is an event type that occurs in the block.
type Type struct {
	Name  string
	Class sluice.Class
}

// Frame is a separately compressed run of whole events.
type Frame struct {
	Events uint32
	Raw    uint32 // bytes of its events with their newlines
	Stored uint32 // bytes as stored
	CRC    uint32 // CRC32C of the stored bytes
}

// Entry describes one event.
type Entry struct {
	Hash      uint64 // of top-level namespace and id, see IDHash
	Time      int64  // microseconds since 1970; the acceptance time when the event has none
	Offset    uint32 // of the event in the block's raw bytes
	Len       uint32 // without the newline
	IDOffset  uint32 // of the id's text in the event
	IDLen     uint16
	Type      uint16 // indexes into the directory's lists
	Namespace uint16
	Source    uint16
}

// memSize returns the bytes that d occupies in memory, roughly.
func (d *Directory) memSize() int {
	n := cap(d.Entries)*40 + cap(d.Frames)*16
	for _, list := range [][]Top{d.Tops, d.Others} {
		n += cap(list) * 24
		for i := range list {
			n += len(list[i].Name)
		}
	}
	n += cap(d.Namespaces)*40 + cap(d.Types)*32 + cap(d.Sources)*16
	for i := range d.Namespaces {
		n += 2 * len(d.Namespaces[i].Path)
	}
	for i := range d.Types {
		n += len(d.Types[i].Name)
	}
	for _, s := range d.Sources {
		n += len(s)
	}
	return n
}

// EventTime returns the time of the event.
func (e *Entry) EventTime() time.Time { return time.UnixMicro(e.Time).UTC() }

const (
	classAudit = 0
	classGit   = 1
)

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendTops(b []byte, tops []Top) []byte {
	b = binary.AppendUvarint(b, uint64(len(tops)))
	for _, t := range tops {
		b = binary.AppendUvarint(appendString(b, t.Name), t.Total)
	}
	return b
}

// append appends the stored form of d. Times are relative to accepted.
func (d *Directory) append(b []byte, accepted int64) []byte {
	if d.Missing == nil {
		b = append(b, 0)
	} else {
		b = binary.AppendUvarint(append(b, 1), d.Missing.First)
		b = appendString(binary.AppendUvarint(b, d.Missing.Last), d.Missing.Cause)
	}
	b = appendTops(b, d.Tops)
	b = appendTops(b, d.Others)
	b = binary.AppendUvarint(b, uint64(len(d.Namespaces)))
	for _, n := range d.Namespaces {
		b = appendString(binary.AppendUvarint(b, uint64(n.Top)), n.Path)
	}
	b = binary.AppendUvarint(b, uint64(len(d.Types)))
	for _, t := range d.Types {
		class := byte(classAudit)
		if t.Class == sluice.Git {
			class = classGit
		}
		b = appendString(append(b, class), t.Name)
	}
	b = binary.AppendUvarint(b, uint64(len(d.Sources)))
	for _, s := range d.Sources {
		b = appendString(b, s)
	}
	b = binary.AppendUvarint(b, uint64(len(d.Frames)))
	for _, f := range d.Frames {
		b = binary.AppendUvarint(b, uint64(f.Events))
		b = binary.AppendUvarint(b, uint64(f.Raw))
		b = binary.AppendUvarint(b, uint64(f.Stored))
		b = binary.LittleEndian.AppendUint32(b, f.CRC)
	}
	return d.appendColumns(b, accepted)
}

// appendColumns writes the entries column by column: a column of a dictionary
// with one value takes no bytes, one of up to 256 values a byte an event.
func (d *Directory) appendColumns(b []byte, accepted int64) []byte {
	b = appendIndexes(b, len(d.Types), d.Entries, func(e *Entry) uint16 { return e.Type })
	b = appendIndexes(b, len(d.Namespaces), d.Entries, func(e *Entry) uint16 { return e.Namespace })
	b = appendIndexes(b, len(d.Sources), d.Entries, func(e *Entry) uint16 { return e.Source })
	last := accepted
	for i := range d.Entries {
		e := &d.Entries[i]
		b = binary.AppendUvarint(b, uint64(e.Len))
		b = binary.AppendUvarint(b, uint64(e.IDOffset))
		b = binary.AppendUvarint(b, uint64(e.IDLen))
		b = binary.AppendVarint(b, e.Time-last)
		last = e.Time
		b = binary.LittleEndian.AppendUint64(b, e.Hash)
	}
	return b
}

func appendIndexes(b []byte, n int, entries []Entry, get func(*Entry) uint16) []byte {
	switch {
	case n <= 1:
	case n <= 256:
		for i := range entries {
			b = append(b, byte(get(&entries[i])))
		}
	default:
		for i := range entries {
			b = binary.LittleEndian.AppendUint16(b, get(&entries[i]))
		}
	}
	return b
}

// A parser reads a directory and remembers the first thing that was wrong.
type parser struct {
	b   []byte
	err error
}

func (p *parser) fail(what string) {
	if p.err == nil {
		p.err = fmt.Errorf("%w: directory: %s", ErrDamaged, what)
	}
	p.b = nil
}

func (p *parser) uvarint() uint64 {
	v, n := binary.Uvarint(p.b)
	if n <= 0 {
		p.fail("short number")
		return 0
	}
	p.b = p.b[n:]
	return v
}

func (p *parser) varint() int64 {
	v, n := binary.Varint(p.b)
	if n <= 0 {
		p.fail("short number")
		return 0
	}
	p.b = p.b[n:]
	return v
}

func (p *parser) bytes(n uint64) []byte {
	if n > uint64(len(p.b)) {
		p.fail("short field")
		return nil
	}
	s := p.b[:n]
	p.b = p.b[n:]
	return s
}

func (p *parser) string() string { return string(p.bytes(p.uvarint())) }

// count reads the length of a list whose elements take at least size bytes each.
func (p *parser) count(size int) int {
	n := p.uvarint()
	if n > uint64(len(p.b)/size) {
		p.fail("list is longer than the directory")
		return 0
	}
	return int(n)
}

func (p *parser) tops() []Top {
	n := p.count(2)
	if n == 0 {
		return nil
	}
	tops := make([]Top, n)
	for i := range tops {
		tops[i] = Top{Name: p.string(), Total: p.uvarint()}
	}
	return tops
}

// parseDirectory reads the directory of the block with header h. It never
// panics, whatever b holds, and allocates in proportion to b.
func parseDirectory(h *Header, b []byte) (*Directory, error) {
	if Checksum(b) != h.DirCRC || len(b) != int(h.DirLen) {
		return nil, errChecksum
	}
	p := &parser{b: b}
	d := &Directory{}
	if m := p.bytes(1); len(m) == 1 && m[0] != 0 {
		d.Missing = &Missing{First: p.uvarint(), Last: p.uvarint(), Cause: p.string()}
	}
	d.Tops = p.tops()
	d.Others = p.tops()
	p.namespaces(d)
	p.types(d)
	if n := p.count(1); n > 0 {
		d.Sources = make([]string, n)
		for i := range d.Sources {
			d.Sources[i] = p.string()
		}
	}
	p.frames(d, h)
	p.entries(d, h)
	if p.err == nil && len(p.b) != 0 {
		p.fail("trailing bytes")
	}
	return d, p.err
}

func (p *parser) namespaces(d *Directory) {
	n := p.count(2)
	if n == 0 {
		return
	}
	d.Namespaces = make([]Namespace, n)
	for i := range d.Namespaces {
		top := p.uvarint()
		if top >= uint64(len(d.Tops)) {
			p.fail("namespace without a top-level namespace")
			return
		}
		path := p.string()
		d.Namespaces[i] = Namespace{Path: path, Folded: sluice.FoldNamespace(path), Top: uint32(top)}
	}
}

func (p *parser) types(d *Directory) {
	n := p.count(2)
	if n == 0 {
		return
	}
	d.Types = make([]Type, n)
	for i := range d.Types {
		class := sluice.Audit
		if c := p.bytes(1); len(c) == 1 && c[0] == classGit {
			class = sluice.Git
		}
		d.Types[i] = Type{Class: class, Name: p.string()}
	}
}

func (p *parser) frames(d *Directory, h *Header) {
	n := p.count(7)
	d.Frames = make([]Frame, n)
	var events, raw, stored uint64
	for i := range d.Frames {
		e, r, s := p.uvarint(), p.uvarint(), p.uvarint()
		crc := p.bytes(4)
		if p.err != nil {
			return
		}
		if e > math.MaxUint32 || r > MaxBlock || s > MaxBlock {
			p.fail("frame is too large")
			return
		}
		if h.Codec == Raw && r != s {
			p.fail("frame is not compressed and has two sizes")
			return
		}
		events, raw, stored = events+e, raw+r, stored+s
		d.Frames[i] = Frame{Events: uint32(e), Raw: uint32(r), Stored: uint32(s), CRC: binary.LittleEndian.Uint32(crc)}
	}
	if events != uint64(h.Count) || raw != uint64(h.RawLen) || stored != uint64(h.FramesLen) {
		p.fail("frames do not add up to the block")
	}
}

func (p *parser) entries(d *Directory, h *Header) {
	const smallest = 12 // bytes of an entry without its indexes
	if p.err != nil || uint64(h.Count) > uint64(len(p.b)/smallest) {
		p.fail("fewer entries than events")
		return
	}
	d.Entries = make([]Entry, h.Count)
	p.indexes(len(d.Types), d.Entries, func(e *Entry, v uint16) { e.Type = v })
	p.indexes(len(d.Namespaces), d.Entries, func(e *Entry, v uint16) { e.Namespace = v })
	p.indexes(len(d.Sources), d.Entries, func(e *Entry, v uint16) { e.Source = v })
	last, offset := h.Accepted.UnixMicro(), uint64(0)
	for i := range d.Entries {
		e := &d.Entries[i]
		size, idOffset, idLen := p.uvarint(), p.uvarint(), p.uvarint()
		last += p.varint()
		hash := p.bytes(8)
		if p.err != nil {
			return
		}
		if size >= MaxBlock || idLen > min(size, math.MaxUint16) || idOffset > size-idLen {
			p.fail("entry is out of bounds")
			return
		}
		e.Offset, e.Len, e.Time = uint32(offset), uint32(size), last
		e.IDOffset, e.IDLen = uint32(idOffset), uint16(idLen)
		e.Hash = binary.LittleEndian.Uint64(hash)
		offset += size + 1
	}
	if offset != uint64(h.RawLen) {
		p.fail("entries do not add up to the block")
		return
	}
	d.checkFrames(p)
}

// checkFrames makes sure that frames begin and end between events.
func (d *Directory) checkFrames(p *parser) {
	next, end := 0, uint64(0)
	for _, f := range d.Frames {
		next += int(f.Events)
		end += uint64(f.Raw)
		if f.Events == 0 {
			p.fail("frame without events")
			return
		}
		if e := &d.Entries[next-1]; uint64(e.Offset)+uint64(e.Len)+1 != end {
			p.fail("frame ends inside an event")
			return
		}
	}
}

func (p *parser) indexes(n int, entries []Entry, set func(*Entry, uint16)) {
	width := 0
	switch {
	case n == 0 || n > maxNumber:
		p.fail("dictionary is empty or too large")
		return
	case n > 256:
		width = 2
	case n > 1:
		width = 1
	}
	col := p.bytes(uint64(width * len(entries)))
	if p.err != nil || width == 0 {
		return
	}
	for i := range entries {
		v := uint16(col[i*width])
		if width == 2 {
			v |= uint16(col[i*2+1]) << 8
		}
		if int(v) >= n {
			p.fail("index beyond its dictionary")
			return
		}
		set(&entries[i], v)
	}
}
