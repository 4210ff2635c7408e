package eventlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/sluicelog/sluice"
)

// Block returns the block that holds sequence number seq, or the first one after
// it when seq is not stored; io.EOF when there is none yet. Its checksums have
// been verified. A caller that gets a block whose First is beyond seq has found
// a gap; see Lost.
func (l *Log) Block(ctx context.Context, partition string, seq uint64) (*Block, error) {
	p := l.partition(partition)
	return p.block(ctx, seq, func(stored Stored) (*Block, error) {
		b, err := p.read(stored, make([]byte, stored.Header.Size()))
		if err == nil {
			l.cache.put(partition, b)
		}
		return b, err
	})
}

// block finds a block for Block. It is taken from memory or read.
func (p *partition) block(ctx context.Context, seq uint64, read func(Stored) (*Block, error)) (*Block, error) {
	from := seq
	for {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		p.mu.Lock()
		end := p.stored
		seq = max(seq, p.trimmed)
		b := p.tail.find(seq)
		p.mu.Unlock()
		if b != nil {
			return b, nil
		}
		if seq > end {
			return nil, p.nothing(from, end)
		}
		if b = p.log.cache.get(p.name, seq); b != nil {
			return b, nil
		}
		stored, err := p.store.Next(ctx, seq)
		if errors.Is(err, io.EOF) {
			return nil, p.nothing(from, end)
		}
		if err != nil {
			return nil, err
		}
		if b = p.log.cache.get(p.name, stored.Header.First); b != nil {
			return b, nil
		}
		b, err = read(stored)
		if !errors.Is(err, ErrDamaged) {
			return b, err
		}
		p.damaged(stored.Header, err)
		seq = stored.Header.Last() + 1
	}
}

// read reads and verifies a whole block. It keeps buf, which has its size.
func (p *partition) read(stored Stored, buf []byte) (*Block, error) {
	if _, err := stored.ReadAt(buf, 0); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("%w: cut short", ErrDamaged)
		}
		return nil, fmt.Errorf("read block %d of partition %s: %w", stored.Header.First, p.name, err)
	}
	b, err := ParseBlock(buf)
	if err != nil {
		return nil, err
	}
	if err := p.mine(&b.Header); err != nil {
		return nil, err
	}
	rest := b.stored
	for _, f := range b.Frames {
		if Checksum(rest[:f.Stored]) != f.CRC {
			return nil, errChecksum
		}
		rest = rest[f.Stored:]
	}
	return b, nil
}

// mine reports whether a block with header h belongs to this partition.
func (p *partition) mine(h *Header) error {
	opts := &p.log.opts
	if h.Log != opts.ID && !slices.Contains(opts.Earlier, h.Log) || h.Partition != Checksum([]byte(p.name)) {
		return fmt.Errorf("%w: it belongs to another log or partition", ErrDamaged)
	}
	return nil
}

// directory returns header and directory of the block that holds seq or of the
// first one after it, without reading its frames.
func (p *partition) directory(ctx context.Context, seq uint64) (*Header, *Directory, error) {
	for {
		p.mu.Lock()
		b := p.tail.find(seq)
		p.mu.Unlock()
		if b != nil {
			return &b.Header, b.Directory, nil
		}
		stored, err := p.store.Next(ctx, seq)
		if err != nil {
			return nil, nil, err
		}
		o, err := p.outline(stored)
		if err == nil {
			return &o.Header, o.Directory, nil
		}
		if !errors.Is(err, ErrDamaged) {
			return nil, nil, err
		}
		p.damaged(stored.Header, err)
		seq = stored.Header.Last() + 1
	}
}

// damaged remembers and reports a block that cannot be read.
func (p *partition) damaged(h Header, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range p.damage {
		if d.First == h.First {
			return
		}
	}
	if len(p.damage) == MaxDamage {
		return
	}
	d := Damage{First: h.First, Last: h.Last(), Where: "partition " + p.name, Cause: err.Error()}
	p.damage = append(p.damage, d)
	p.log.opts.Logger.Error("log block is damaged", "partition", p.name, "first", d.First, "last", d.Last, "err", err)
}

// nothing returns io.EOF and remembers that of what is stored up to end nothing
// from seq on can be read.
func (p *partition) nothing(seq, end uint64) error {
	if seq > end {
		return io.EOF // it is not stored yet
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.barren.last == end {
		seq = min(seq, p.barren.first)
	}
	p.barren.first, p.barren.last = seq, end
	return io.EOF
}

// awaited reports whether there may be something to read from seq on. The caller
// holds p.mu.
func (p *partition) awaited(seq uint64) bool {
	return p.stored >= seq && (seq < p.barren.first || p.stored > p.barren.last)
}

// Wait returns when an event with number seq or a higher one has been stored. What
// was met and cannot be read does not count: who reads from seq on, and waits for it
// when there is io.EOF, is not woken until there is more.
func (l *Log) Wait(ctx context.Context, partition string, seq uint64) error {
	p := l.partition(partition)
	for {
		p.mu.Lock()
		grown, there := p.grown, p.awaited(seq)
		p.mu.Unlock()
		if there {
			return nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Position returns the highest number that was given out in the partition and
// how many events of the scope were stored up to it, both at one moment. A scope
// is a folded top-level namespace or [sluice.Instance], which counts all events.
func (l *Log) Position(partition, scope string) (seq, total uint64) {
	p := l.partition(partition)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last, p.scopeTotal(scope)
}

func (p *partition) scopeTotal(scope string) uint64 {
	if scope == sluice.Instance {
		return p.total
	}
	return p.totals[scope]
}

// Since returns the number of the first event accepted at t or later; when there
// is none, the number that the next event gets.
func (l *Log) Since(ctx context.Context, partition string, t time.Time) (uint64, error) {
	p := l.partition(partition)
	last := l.Last(partition) // before the engine is asked: what is stored meanwhile comes after it
	stored, err := p.store.Since(ctx, t)
	if errors.Is(err, io.EOF) {
		return last + 1, nil
	}
	if err != nil {
		return 0, err
	}
	return stored.Header.First, nil
}

// First returns the lowest stored number, or the number that the next event gets
// when nothing is stored.
func (l *Log) First(partition string) uint64 {
	last := l.Last(partition) // first, as in Since
	if first := l.partition(partition).store.State().First; first != 0 {
		return first
	}
	return last + 1
}

// AcceptedAt returns when the event seq, or the first stored one after it, was
// accepted; io.EOF when there is none.
func (l *Log) AcceptedAt(ctx context.Context, partition string, seq uint64) (time.Time, error) {
	stored, err := l.partition(partition).store.Next(ctx, seq)
	if err != nil {
		return time.Time{}, err
	}
	return stored.Header.Accepted, nil
}

// Lost says why the events first to last are not there: "retention", or what was
// found damaged or missing.
func (l *Log) Lost(partition string, first, last uint64) string {
	for _, d := range l.Damage(partition) { // of what retention took, none is left
		if d.First <= last && d.Last >= first {
			return "damage: " + d.Cause
		}
	}
	if last < l.partition(partition).store.State().First {
		return "retention"
	}
	return "missing from the log"
}

// Damage lists the ranges that cannot be read, as far as they were met.
func (l *Log) Damage(partition string) []Damage {
	p := l.partition(partition)
	list := p.store.State().Damage
	p.mu.Lock()
	defer p.mu.Unlock()
	return append(append([]Damage(nil), list...), p.damage...)
}

// Trim removes blocks all of whose numbers are below seq, as far as the engine's
// unit of removal allows. The newest block with all totals always stays.
func (l *Log) Trim(ctx context.Context, partition string, seq uint64) error {
	p := l.partition(partition)
	p.mu.Lock()
	seq = min(seq, p.snapshot)
	p.mu.Unlock()
	err := p.trim(ctx, seq)
	if first := p.store.State().First; first != 0 {
		l.outlines.forget(partition, first)
		p.mu.Lock()
		p.trimmed = first
		p.damage = slices.DeleteFunc(p.damage, func(d Damage) bool { return d.Last < first })
		p.mu.Unlock()
	}
	return err
}

// trimStep is about how many stored bytes are removed at once: two files or so.
const trimStep = 128 << 20

// trim removes what is below seq a part at a time: nothing is appended while the
// engine removes something, and what a pause of a week has kept may take it minutes.
func (p *partition) trim(ctx context.Context, seq uint64) error {
	st, step := p.store.State(), seq
	if last := st.Last.Last(); 0 < st.First && st.First < last {
		step = (last-st.First)/uint64(st.Bytes/p.log.opts.trimStep+1) + 1
	}
	for at := st.First; ; {
		at = min(seq, at+step)
		p.storing.Lock()
		err := p.store.Trim(ctx, at)
		p.storing.Unlock()
		if err != nil || at == seq {
			return err
		}
	}
}

// Totals returns the highest number that was given out and the totals of every
// scope up to it, at one moment.
func (l *Log) Totals(partition string) (uint64, map[string]uint64) {
	p := l.partition(partition)
	p.mu.Lock()
	defer p.mu.Unlock()
	totals := make(map[string]uint64, len(p.totals)+1)
	maps.Copy(totals, p.totals)
	totals[sluice.Instance] = p.total
	return p.last, totals
}

// Stored returns the highest number that is stored.
func (l *Log) Stored(partition string) uint64 {
	p := l.partition(partition)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stored
}

// Appended returns how many bytes of events were appended to the partition since
// the start.
func (l *Log) Appended(partition string) uint64 {
	p := l.partition(partition)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stats.Raw
}
