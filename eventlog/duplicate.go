package eventlog

import (
	"bytes"
	"context"
	"errors"
	"io"
)

// verdicts remembers, for one event, which stored events it was compared with.
type verdicts struct {
	differs []uint64
	found   []uint64
	clash   bool
}

func (v *verdicts) reset() { v.differs, v.clash = v.differs[:0], false }

func (v *verdicts) knows(seq uint64) bool {
	for _, s := range v.differs {
		if s == seq {
			return true
		}
	}
	return false
}

// duplicate reports whether an event with the same top-level namespace, id and
// bytes is stored or on its way. It frees the lock while it reads the log.
func (p *partition) duplicate(ctx context.Context, b *Batch, e *Entry, payload []byte, v *verdicts, t *ticket) (bool, error) {
again:
	v.found = p.recent.find(v.found[:0], e.Hash)
	for _, seq := range v.found {
		if v.knows(seq) {
			continue
		}
		g := p.groupOf(seq)
		same, err := p.same(ctx, g, seq, b.top(e), payload)
		if err != nil {
			return false, err
		}
		if same {
			if g != nil {
				t.wait(g)
			}
			t.Last = max(t.Last, seq)
			return true, nil
		}
		v.clash = true
		if g == nil { // the lock was free, but a stored event stays what it is
			v.differs = append(v.differs, seq)
			goto again
		}
	}
	return false, nil
}

// same reports whether event seq, of group g or stored if that is nil, has this
// top-level namespace and these bytes. It frees the lock while it reads the log.
func (p *partition) same(ctx context.Context, g *group, seq uint64, top string, payload []byte) (bool, error) {
	if g != nil {
		return g.b.holds(int(seq-g.first), top, payload), nil
	}
	p.mu.Unlock()
	defer p.mu.Lock()
	return p.log.holds(ctx, p.name, seq, top, payload)
}

// groupOf returns the group that holds seq, nil when it is stored.
func (p *partition) groupOf(seq uint64) *group {
	switch {
	case seq >= p.fill.first:
		return p.fill
	case p.committing != nil && seq >= p.committing.first:
		return p.committing
	}
	return nil
}

// holds reports whether event i is of this top-level namespace and has these
// bytes, newline included. Equal bytes hold an equal id.
func (b *builder) holds(i int, top string, payload []byte) bool {
	e := &b.ents[i]
	return b.dict.tops[b.dict.namespaces[e.Namespace].Top].Name == top &&
		bytes.Equal(b.raw[e.Offset:e.Offset+e.Len+1], payload)
}

// holds reports whether the stored event seq is of this top-level namespace and
// has these bytes. An event that is no longer there does not.
func (l *Log) holds(ctx context.Context, partition string, seq uint64, top string, payload []byte) (bool, error) {
	blk, err := l.Block(ctx, partition, seq)
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if seq < blk.First {
		return false, nil
	}
	i := int(seq - blk.First)
	e := &blk.Entries[i]
	if int(e.Len) != len(payload)-1 || blk.Tops[blk.Namespaces[e.Namespace].Top].Name != top {
		return false, nil
	}
	got, err := blk.Payload(i)
	if err != nil {
		return false, nil //nolint:nilerr // damaged: not a duplicate that could be delivered
	}
	return bytes.Equal(got, payload[:len(payload)-1]), nil
}
