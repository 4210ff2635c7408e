package search

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/index"
)

// Event is an event that was found, with what Sluice knows of it besides.
type Event struct {
	Partition string
	Seq       uint64
	Accepted  time.Time
	Source    string
	Namespace string // its path, "" for the instance
	Payload   []byte // as it was accepted
}

// reader reads events from the log for one query. It keeps the outline that it
// read last in each partition: hits come in order, so each frame is decoded once,
// whether few hits lie in a block or many.
type reader struct {
	s       *Service
	exact   string // leaves out events of other namespaces, "" none
	blocks  map[string]*eventlog.Outline
	terms   index.Terms
	event   index.Event
	missing int
}

// read returns the event of a hit. It is judged again by what the log has of it:
// ok is false when the event does not meet the query, which ids allow, or is not
// there any more.
func (r *reader) read(ctx context.Context, v *view, hit index.Hit) (e Event, ok bool, err error) {
	b, err := r.block(ctx, v.sh.name, hit.Seq)
	if err != nil {
		return Event{}, false, err
	}
	if b == nil || b.First > hit.Seq {
		r.lost(v, hit.Seq, b)
		return Event{}, false, nil
	}
	i := int(hit.Seq - b.First)
	if r.exact != "" && b.Namespaces[b.Entries[i].Namespace].Folded != r.exact {
		return Event{}, false, nil
	}
	payload, err := b.Event(i)
	if err != nil {
		return Event{}, false, r.damaged(ctx, v, hit.Seq, err)
	}
	describe(&r.event, &b.Header, b.Directory, i, payload)
	r.terms.Read(&r.event)
	if !v.q.Matches(r.terms.Has, string(r.event.ID), time.UnixMicro(r.event.Time), b.Accepted) {
		return Event{}, false, nil
	}
	return Event{
		Partition: v.sh.name, Seq: hit.Seq, Accepted: b.Accepted, Source: strings.Clone(r.event.Source), Namespace: strings.Clone(r.event.Namespace),
		Payload: bytes.Clone(payload), // not the frame with it
	}, true, nil
}

// Event returns the event with a number, if the log has it, it meets q and retention
// does not hide it.
func (s *Service) Event(ctx context.Context, q index.Query, partition string, seq uint64) (e Event, ok bool, err error) {
	i := slices.IndexFunc(s.shelves, func(sh *shelf) bool { return sh.name == partition })
	if i < 0 {
		return Event{}, false, nil
	}
	v := &view{sh: s.shelves[i], q: s.clip(&q, partition)}
	r := reader{s: s}
	b, err := r.block(ctx, partition, seq)
	if err != nil || b == nil || seq < b.First {
		return Event{}, false, err
	}
	j := judge{q: &v.q}
	if !j.may(b, int(seq-b.First)) {
		return Event{}, false, nil
	}
	return r.read(ctx, v, index.Hit{Seq: seq})
}

// block returns the block with an event, or one behind it when the log lacks it;
// nil when there is none.
func (r *reader) block(ctx context.Context, partition string, seq uint64) (*eventlog.Outline, error) {
	if b := r.blocks[partition]; b != nil && b.First <= seq && seq <= b.Last() {
		return b, nil
	}
	b, err := r.s.log.Outline(ctx, partition, seq)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read event %d of partition %s: %w", seq, partition, err)
	}
	if r.blocks == nil {
		r.blocks = map[string]*eventlog.Outline{}
	}
	r.blocks[partition] = b
	return b, nil
}

// lost notes that the log lacks an event; next is the first block behind it. When
// the log says why, that is all that is to be said.
func (r *reader) lost(v *view, seq uint64, next *eventlog.Outline) {
	if next != nil && next.Missing != nil && next.Missing.First <= seq && seq <= next.Missing.Last {
		return
	}
	cause := r.s.log.Lost(v.sh.name, seq, seq)
	if cause == "retention" || strings.HasPrefix(cause, "damage") {
		return
	}
	r.s.cfg.Logger.Warn("event is in the index and not in the log", "partition", v.sh.name, "seq", seq)
	r.miss(v)
}

// damaged notes an event that nobody will read any more. Of a disk that is away or
// has failed it returns the error: such an event is there.
func (r *reader) damaged(ctx context.Context, v *view, seq uint64, err error) error {
	if !errors.Is(err, eventlog.ErrDamaged) {
		return err
	}
	r.s.cfg.Logger.WarnContext(ctx, "event cannot be read", "partition", v.sh.name, "seq", seq, "err", err)
	r.miss(v)
	return nil
}

func (r *reader) miss(v *view) {
	r.missing++
	v.sh.missed(1)
}

// describe sets e to event i of a block.
func describe(e *index.Event, h *eventlog.Header, d *eventlog.Directory, i int, payload []byte) {
	entry := &d.Entries[i]
	*e = index.Event{
		Seq: h.First + uint64(i), Accepted: h.Accepted.UnixMicro(), Time: entry.Time,
		Type: d.Types[entry.Type].Name, Namespace: d.Namespaces[entry.Namespace].Path, Source: d.Sources[entry.Source],
		ID: payload[entry.IDOffset : entry.IDOffset+uint32(entry.IDLen)], Payload: payload,
	}
}
