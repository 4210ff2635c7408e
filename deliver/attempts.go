package deliver

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// MaxAttempts is how many delivery attempts of a stream are kept.
const MaxAttempts = 200

// MaxActivity is how long the counts by minute of a stream are kept.
const MaxActivity = 7 * 24 * time.Hour

// Attempt is one call of a destination's Send.
type Attempt struct {
	Partition   string
	Time        time.Time // when it began
	Took        time.Duration
	First, Last uint64 // sequence numbers of its events
	Events      int
	Delivered   int // of them
	Bytes       int // of their payloads
	// Class is "" when every event was delivered, else as in [Failure].
	Class  string
	Status int
	// Words says what went wrong, in the destination's words, cut to
	// maxAttemptWords bytes.
	Words string
}

// Minute counts what a stream did in one minute.
type Minute struct {
	Time      time.Time // its beginning
	Delivered uint64    // events
	Bytes     uint64    // of delivered batches, attempts that failed left out
	Failures  uint64    // attempts
}

// attempt returns what is to be kept of a call of Send.
func attempt(b *destination.Batch, res *destination.Result, start time.Time, took time.Duration) Attempt {
	a := Attempt{Time: start, Took: took, Events: len(b.Events), Delivered: len(b.Events)}
	if len(b.Events) == 0 {
		return a
	}
	a.First, a.Last = b.Events[0].Seq, b.Events[len(b.Events)-1].Seq
	for i := range b.Events {
		a.Bytes += len(b.Events[i].Payload)
	}
	if res.Err == nil {
		return a
	}
	a.Class, a.Status, a.Words, a.Delivered = res.Err.Class.String(), res.Err.Status, res.Err.Message, 0
	for _, o := range res.Events {
		if o == destination.Delivered {
			a.Delivered++
		}
	}
	return a
}

// panicWords describes a panic for the log: of what was not thrown by the runtime
// only the type, for the value may hold what was being sent.
func panicWords(p any) string {
	if e, ok := p.(runtime.Error); ok {
		return e.Error()
	}
	return fmt.Sprintf("a value of type %T", p)
}

// attempted keeps an attempt of the lane, which is not locked.
func (d *Deliverer) attempted(l *lane, a Attempt) {
	j := l.journal.Load()
	if j == nil {
		j = d.journals.open(l)
		if !l.journal.CompareAndSwap(nil, j) {
			j = l.journal.Load()
		}
	}
	j.add(&a)
}

// journalOf returns the journal of a lane, for reading: that of a lane that has
// done nothing since the start is not kept in memory.
func (d *Deliverer) journalOf(l *lane) *journal {
	if j := l.journal.Load(); j != nil {
		return j
	}
	return d.journals.open(l)
}

// Attempts returns the last attempts of a stream, the newest first: at most
// limit and never more than MaxAttempts. Those of the last seconds before a crash
// may be missing.
func (d *Deliverer) Attempts(ctx context.Context, id sluice.StreamID, limit int) ([]Attempt, error) {
	s, err := d.stream(id)
	if err != nil {
		return nil, err
	}
	var all []Attempt
	for _, l := range s.lanes {
		list, err := d.journalOf(l).attempts(ctx)
		if err != nil {
			return nil, fmt.Errorf("read attempts of stream %d: %w", id, err)
		}
		slices.Reverse(list)
		for i := range list {
			list[i].Partition = l.p.name
		}
		all = append(all, list...)
	}
	slices.SortStableFunc(all, func(a, b Attempt) int { return b.Time.Compare(a.Time) })
	return all[:min(len(all), limit, MaxAttempts)], nil
}

// Activity returns the minutes from since on in which a stream did something, the
// oldest first. Minutes before MaxActivity are forgotten.
func (d *Deliverer) Activity(ctx context.Context, id sluice.StreamID, since time.Time) ([]Minute, error) {
	s, err := d.stream(id)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	if oldest := now.Add(-MaxActivity); since.Before(oldest) {
		since = oldest
	}
	sums := map[int64]minute{}
	for _, l := range s.lanes {
		list, _, err := d.journalOf(l).minutes(ctx, minuteOf(since))
		if err != nil {
			return nil, fmt.Errorf("read activity of stream %d: %w", id, err)
		}
		for _, m := range list {
			m.at = min(m.at, minuteOf(now)) // the clock may have been ahead
			sum := sums[m.at]
			sum.add(m)
			sums[m.at] = sum
		}
	}
	out := make([]Minute, 0, len(sums))
	for at, m := range sums {
		out = append(out, Minute{Time: time.Unix(at*60, 0).UTC(), Delivered: m.delivered, Bytes: m.bytes, Failures: m.failures})
	}
	slices.SortFunc(out, func(a, b Minute) int { return a.Time.Compare(b.Time) })
	return out, nil
}

// LastSuccess returns when a stream delivered last, before the start too; zero
// when that is not known. Up to a minute before a crash may be missing.
func (d *Deliverer) LastSuccess(ctx context.Context, id sluice.StreamID) (time.Time, error) {
	s, err := d.stream(id)
	if err != nil {
		return time.Time{}, err
	}
	var last time.Time
	for _, l := range s.lanes {
		at, err := d.lastSuccess(ctx, l)
		if err != nil {
			return time.Time{}, err
		}
		if at.After(last) {
			last = at
		}
	}
	return last, nil
}

// lastSuccess is [Deliverer.LastSuccess] of a lane. That of one which has done
// nothing since the start is read once.
func (d *Deliverer) lastSuccess(ctx context.Context, l *lane) (time.Time, error) {
	if l.journal.Load() == nil {
		if at := l.before.Load(); at != nil {
			return *at, nil
		}
	}
	at, err := d.journalOf(l).lastSuccess(ctx)
	if err == nil {
		l.before.Store(&at)
	}
	return at, err
}

// Trouble is a stream whose deliveries fail.
type Trouble struct {
	Stream sluice.StreamID
	Status sluice.Status // failing or held
	Since  time.Time     // of the first failure after the last success
	Tries  int           // failures in a row
	Last   Failure
}

// Troubles returns the streams that are failing or held, by id. It is cheap
// enough to be asked every few seconds.
func (d *Deliverer) Troubles() []Trouble {
	d.mu.RLock()
	defer d.mu.RUnlock()
	var out []Trouble
	for _, s := range d.streams {
		var worst *Trouble
		for _, l := range s.lanes {
			t, ok := l.trouble()
			if ok && (worst == nil || worst.Status != sluice.StatusHeld && t.Status == sluice.StatusHeld) {
				worst = &t
			}
		}
		if worst != nil {
			out = append(out, *worst)
		}
	}
	slices.SortFunc(out, func(a, b Trouble) int { return cmp.Compare(a.Stream, b.Stream) })
	return out
}

// trouble returns what ails the lane, if anything does.
func (l *lane) trouble() (Trouble, bool) {
	l.mu.Lock()
	var last Failure
	switch {
	case l.failure != nil && (l.tries > 0 || l.held):
		last = *l.failure
	case l.hangs():
		last = l.trying.hanging()
	default:
		l.mu.Unlock()
		return Trouble{}, false
	}
	t := Trouble{Stream: l.s.id, Tries: l.tries, Last: last, Since: last.Time}
	if r := l.rec.Trouble; r != nil && r.Since.Before(t.Since) {
		t.Since = r.Since
	}
	conf, _ := l.s.config()
	t.Status = l.status(&conf)
	l.mu.Unlock()
	if t.Status != sluice.StatusFailing && t.Status != sluice.StatusHeld {
		return Trouble{}, false
	}
	if j := l.journal.Load(); j != nil {
		if since := j.failingSince(); !since.IsZero() && since.Before(t.Since) {
			t.Since = since
		}
	}
	return t, true
}
