package deliver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/failpoint"
	"github.com/sluicelog/sluice/store"
)

// QuarantineKey names an event in a stream's quarantine.
type QuarantineKey struct {
	Partition string `json:"partition"`
	Seq       uint64 `json:"seq"`
}

// QuarantineChoice says which events of a stream's quarantine are meant: those of
// Events; when it names none, all, and with UpTo only those that are numbered up to
// its event of their partition. Of a partition that UpTo does not name none is.
type QuarantineChoice struct {
	Events []QuarantineKey
	UpTo   []QuarantineKey
}

// maxQuarantined bounds the events in a lane's quarantine.
const maxQuarantined = 10_000

// quarantineFull is the class of the failure of a lane whose quarantine is full.
const quarantineFull = "quarantine_full"

// encodeCopy returns the record of an event in quarantine. Its payload keeps its
// bytes: encoding/json would escape <, > and & in it.
func encodeCopy(q *Quarantined) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(q); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// quarantine copies suspects aside and takes them out of the way: first the
// copies, then the lane record that lists them and whose cursor has passed them,
// each durable before the next step. When there is no room the lane is held and
// errQuarantineFull returned.
func (d *Deliverer) quarantine(ctx context.Context, l *lane, w *work, suspects []suspect) error {
	changes := make([]store.Change, 0, len(suspects))
	size := 0
	for _, s := range suspects {
		q, err := d.copyOf(ctx, l, s)
		if err != nil {
			return err
		}
		value, err := encodeCopy(q)
		if err != nil {
			return fmt.Errorf("copy event %d: %w", s.seq, err)
		}
		size += len(value)
		changes = append(changes, store.Change{Key: quarantineKey(l.s.id, l.p.name, s.seq), Value: value})
	}
	l.mu.Lock()
	full := l.rec.QuarantinedBytes+size > d.opts.QuarantineBytes || len(l.rec.Quarantined)+len(suspects) > maxQuarantined
	if full {
		d.holdAfter(l, l.fulls, &destination.Error{Class: destination.Misconfigured, Message: "quarantine is full: redeliver or drop events in it"})
		l.failure.Class = quarantineFull
		l.fulls = l.tries
	}
	l.mu.Unlock()
	if full {
		return errQuarantineFull
	}
	if err := applied(d.store.Apply(ctx, changes...), store.ErrConflict); err != nil {
		return fmt.Errorf("write quarantine copies: %w", err)
	}
	failpoint.Here(failpoint.QuarantineCopied)
	l.mu.Lock()
	for _, s := range suspects {
		i, found := slices.BinarySearch(l.rec.Quarantined, s.seq)
		if !found {
			l.rec.Quarantined = slices.Insert(l.rec.Quarantined, i, s.seq)
		}
		d.opts.Logger.Warn("event quarantined", "stream", l.s.id, "partition", l.p.name, "seq", s.seq, "reason", s.reason)
	}
	l.rec.QuarantinedBytes += size
	l.fulls = 0
	l.suspects = slices.DeleteFunc(l.suspects, func(s suspect) bool { return slices.Contains(suspects, s) })
	l.pass(w)
	l.mark()
	l.mu.Unlock()
	err := d.flush.durable(ctx, l)
	failpoint.Here(failpoint.QuarantineListed)
	return err
}

// applied joins the errors of an Apply, but for those that may be ignored.
func applied(errs []error, ignore error) error {
	var all error
	for _, err := range errs {
		if err != nil && !errors.Is(err, ignore) {
			all = errors.Join(all, err)
		}
	}
	return all
}

func (d *Deliverer) copyOf(ctx context.Context, l *lane, s suspect) (*Quarantined, error) {
	b, err := d.log.Block(ctx, l.p.name, s.seq)
	if err != nil {
		return nil, fmt.Errorf("copy event %d: %w", s.seq, err)
	}
	if s.seq < b.First {
		return nil, fmt.Errorf("copy event %d: it is no longer in the log", s.seq)
	}
	i := int(s.seq - b.First)
	payload, err := b.Payload(i)
	if err != nil {
		return nil, fmt.Errorf("copy event %d: %w", s.seq, err)
	}
	e := &b.Entries[i]
	return &Quarantined{
		Partition: l.p.name, Seq: s.seq, ID: string(payload[e.IDOffset : e.IDOffset+uint32(e.IDLen)]),
		Type: b.Types[e.Type].Name, Namespace: b.Namespaces[e.Namespace].Path, Hash: strconv.FormatUint(e.Hash, 16),
		Accepted: b.Accepted, Time: e.EventTime(), At: time.Now().UTC(), Reason: s.reason, Payload: payload,
	}, nil
}

// maxListed is how many bytes of events a list of a quarantine has before it ends:
// each quarantine may hold much more, and many may look at once.
const maxListed = 8 << 20

// Quarantine lists the events in a stream's quarantine, oldest first, at most
// limit of them; fewer when they are large.
func (d *Deliverer) Quarantine(ctx context.Context, id sluice.StreamID, limit int) ([]Quarantined, error) {
	s, err := d.stream(id)
	if err != nil {
		return nil, err
	}
	var out []Quarantined
	size := 0
	for _, l := range s.lanes {
		l.mu.Lock()
		seqs := slices.Clone(l.rec.Quarantined)
		l.mu.Unlock()
		for _, seq := range seqs {
			if len(out) == limit || size >= maxListed {
				return out, nil
			}
			q, _, err := d.quarantined(ctx, l, seq)
			if errors.Is(err, store.ErrNotFound) {
				continue // it has left meanwhile
			}
			if errors.Is(err, errCopyLost) {
				q, err = &Quarantined{Partition: l.p.name, Seq: seq, Reason: err.Error(), Payload: json.RawMessage("{}")}, nil
			}
			if err != nil {
				return nil, err
			}
			out = append(out, *q)
			size += len(q.Payload)
		}
	}
	return out, nil
}

// errCopyLost says that nothing is left of an event but its number.
var errCopyLost = errors.New("the copy of this event is lost, and the log no longer holds it: all that can be done is to drop it")

// quarantined returns an event in quarantine, and the record of its copy. Control
// state that was saved from a damaged file may lack that: then the log serves.
func (d *Deliverer) quarantined(ctx context.Context, l *lane, seq uint64) (*Quarantined, store.Record, error) {
	key := quarantineKey(l.s.id, l.p.name, seq)
	rec, err := d.store.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) && l.lists(seq) {
		q, err := d.copyOf(ctx, l, suspect{seq: seq, reason: "the copy of this event, with the reason, is lost; this is what the log holds"})
		if err != nil && ctx.Err() == nil {
			err = errCopyLost
		}
		return q, store.Record{Key: key}, err
	}
	if err != nil {
		return nil, rec, fmt.Errorf("read quarantined event %d: %w", seq, err)
	}
	var q Quarantined
	if err := json.Unmarshal(rec.Value, &q); err != nil {
		return nil, rec, fmt.Errorf("read quarantined event %d: %w", seq, err)
	}
	return &q, rec, nil
}

// lists reports whether an event is in the lane's quarantine.
func (l *lane) lists(seq uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, found := slices.BinarySearch(l.rec.Quarantined, seq)
	return found
}

// chosen returns the quarantined numbers of the lane that are meant.
func (l *lane) chosen(which QuarantineChoice) []uint64 {
	var out []uint64
	for _, it := range which.Events {
		if it.Partition != l.p.name {
			continue
		}
		if _, ok := slices.BinarySearch(l.rec.Quarantined, it.Seq); ok {
			out = append(out, it.Seq)
		}
	}
	if len(which.Events) > 0 {
		return out
	}
	if len(which.UpTo) == 0 {
		return slices.Clone(l.rec.Quarantined)
	}
	for _, last := range which.UpTo {
		if last.Partition == l.p.name {
			end, found := slices.BinarySearch(l.rec.Quarantined, last.Seq)
			if found {
				end++
			}
			out = slices.Clone(l.rec.Quarantined[:end])
		}
	}
	return out
}

// Drop gives up quarantined events: they are expired. It returns how many there
// were, when that is durable.
func (d *Deliverer) Drop(ctx context.Context, id sluice.StreamID, which QuarantineChoice) (int, error) {
	s, err := d.stream(id)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, l := range s.lanes {
		l.mu.Lock()
		seqs := l.chosen(which)
		l.mu.Unlock()
		for _, seq := range seqs {
			ok, err := d.leaveQuarantine(ctx, l, seq, func(r *record) { r.Expired++ })
			if err != nil {
				return n, err
			}
			if ok {
				n++
			}
		}
	}
	return n, nil
}

// leaveQuarantine takes an event off the lane's list, counts it elsewhere, and
// removes the copy once the record is durable. It reports false when somebody
// else did so before.
func (d *Deliverer) leaveQuarantine(ctx context.Context, l *lane, seq uint64, count func(*record)) (bool, error) {
	rec, err := d.store.Get(ctx, quarantineKey(l.s.id, l.p.name, seq))
	if err != nil && !errors.Is(err, store.ErrNotFound) { // a copy may be lost
		return false, fmt.Errorf("read quarantined event %d: %w", seq, err)
	}
	l.mu.Lock()
	i, found := slices.BinarySearch(l.rec.Quarantined, seq)
	if found {
		l.rec.Quarantined = slices.Delete(l.rec.Quarantined, i, i+1)
		if l.rec.QuarantinedBytes -= len(rec.Value); len(l.rec.Quarantined) == 0 {
			l.rec.QuarantinedBytes = 0 // copies that were lost counted, too
		}
		l.fulls = 0
		if l.failure != nil && l.failure.Class == quarantineFull {
			l.changed = true // there is room again
			d.rouse(l)
		}
		count(&l.rec)
		l.mark()
	}
	l.mu.Unlock()
	if !found {
		return false, nil
	}
	if err := d.flush.durable(ctx, l); err != nil {
		return false, err
	}
	failpoint.Here(failpoint.QuarantineLeft)
	if rec.Key == "" {
		return true, nil
	}
	// A copy that stays is removed at the next start.
	err = applied(d.store.Apply(ctx, store.Change{Key: rec.Key, Version: rec.Version}), store.ErrConflict)
	failpoint.Here(failpoint.QuarantineErased)
	return true, err
}

// event returns the quarantined event as it is sent.
func (q *Quarantined) event() destination.Event {
	hash, _ := strconv.ParseUint(q.Hash, 16, 64)
	payload := append(append([]byte(nil), q.Payload...), '\n')
	return destination.Event{Seq: q.Seq, ID: []byte(q.ID), Hash: hash, Type: q.Type, Time: q.Time,
		Accepted: q.Accepted, Namespace: q.Namespace, Payload: payload[:len(payload)-1]}
}

// sweep removes quarantine copies that no lane record lists: they were written
// just before a crash, or left behind by one.
func (d *Deliverer) sweep(ctx context.Context) error {
	var stale []store.Change
	for rec, err := range d.store.List(ctx, quarantinePrefix) {
		if err != nil {
			return fmt.Errorf("list quarantine: %w", err)
		}
		if !d.listed(strings.TrimPrefix(rec.Key, quarantinePrefix)) {
			stale = append(stale, store.Change{Key: rec.Key, Version: rec.Version})
		}
	}
	if len(stale) == 0 {
		return nil
	}
	return applied(d.store.Apply(ctx, stale...), store.ErrConflict)
}

func (d *Deliverer) listed(key string) bool {
	parts := strings.Split(key, "/")
	if len(parts) != 3 {
		return true // not ours to judge
	}
	id, err1 := strconv.ParseInt(parts[0], 10, 64)
	seq, err2 := strconv.ParseUint(parts[2], 10, 64)
	if err1 != nil || err2 != nil {
		return true
	}
	r, ok := d.stored[laneKey(sluice.StreamID(id), parts[1])]
	if !ok {
		return false
	}
	_, found := slices.BinarySearch(r.rec.Quarantined, seq)
	return found
}
