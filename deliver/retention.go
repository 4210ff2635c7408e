package deliver

import (
	"context"
	"errors"
	"io"
	"time"
)

// retentionEvery is how often old blocks are removed, losses are forecast, and it
// is seen whether what waits is to be sampled.
const retentionEvery = time.Minute

// clockSlack is how far the wall clock may run ahead of the monotonic one before
// retention stops: it would take young events for old ones.
const clockSlack = time.Hour

// retain removes what nobody needs any more, and samples what waits, until ctx
// ends. While the clock is ahead it does neither; while it may be it removes what
// is old in any case, and takes no samples, for they are what the next start knows.
func (d *Deliverer) retain(ctx context.Context) {
	start := time.Now()
	known := d.lastSeen(ctx, start)
	ticker := time.NewTicker(retentionEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		now := time.Now()
		if d.clockAhead(ctx, now.Round(0).Sub(start.Round(0))-now.Sub(start)) {
			continue
		}
		doubted := d.clockDoubted(ctx, now, known, now.Sub(start))
		if doubted {
			now = known.Add(now.Sub(start))
		}
		for _, p := range d.order {
			if err := d.trim(ctx, p, now); err != nil && ctx.Err() == nil {
				d.opts.Logger.ErrorContext(ctx, "retention failed", "partition", p.name, "err", err)
			}
			d.forecast(ctx, p, now)
			if doubted {
				continue
			}
			if err := d.sample(ctx, p, now); err != nil && ctx.Err() == nil {
				d.opts.Logger.WarnContext(ctx, "what waits not sampled", "partition", p.name, "err", err)
			}
		}
	}
}

// clockAhead reports whether the wall clock is too far ahead of the monotonic one,
// and tells when that changes. It was right at the start, as far as anybody knows.
func (d *Deliverer) clockAhead(ctx context.Context, ahead time.Duration) bool {
	stopped := ahead > clockSlack
	switch was := d.retentionStopped.Swap(stopped); {
	case stopped && !was:
		d.opts.Logger.ErrorContext(ctx, "retention stopped: the clock was set forward; set it back, or restart when it is right", "ahead", ahead)
	case was && !stopped:
		d.opts.Logger.InfoContext(ctx, "retention goes on: the clock was set back", "ahead", ahead)
	}
	return stopped
}

// clockGrace is how long a server runs before it believes a clock that is far ahead
// of all that its last run left. A server that was down for a week keeps what is old
// for that long; somebody whose clock is wrong has that long to set it right.
const clockGrace = time.Hour

// lastSeen returns the newest time that an earlier run is known to have been at:
// that of the last samples, which are taken only while the clock is believed. A log
// without any, of a first minute or of an earlier version, has that of its newest
// event. It is start when there is neither.
func (d *Deliverer) lastSeen(ctx context.Context, start time.Time) time.Time {
	var sampled, accepted time.Time
	for _, p := range d.order {
		list, err := d.journals.samples(ctx, lagPrefix+p.name+"/", time.Time{}, start)
		if err != nil {
			d.opts.Logger.WarnContext(ctx, "when the server last ran is not known", "partition", p.name, "err", err)
		}
		for _, s := range list {
			if at := time.Unix(s.slot*slotSeconds, 0); at.After(sampled) {
				sampled = at
			}
		}
		if last := d.log.Stats(p.name).State.Last; last.Count > 0 && last.Accepted.After(accepted) {
			accepted = last.Accepted
		}
	}
	switch {
	case !sampled.IsZero():
		return sampled
	case !accepted.IsZero() && accepted.Before(start):
		return accepted
	}
	return start.Round(0)
}

// clockDoubted reports whether the clock may be wrong since before the start: it is
// ahead of the time at which an earlier run is known to have been by more than this
// one has run, and that is less than the time of grace. It tells when that changes.
func (d *Deliverer) clockDoubted(ctx context.Context, now, known time.Time, running time.Duration) bool {
	ahead := now.Round(0).Sub(known.Add(running))
	const most = clockSlack + LagEvery // samples tell their time to LagEvery
	doubted := ahead > most && running < clockGrace
	switch was := d.retentionWaits.Swap(doubted); {
	case doubted && !was:
		d.opts.Logger.WarnContext(ctx, "retention by age waits: the clock is far ahead of the time at which the server last ran; if it is wrong, set it right now", "ahead", ahead, "last_ran", known, "waits", clockGrace-running)
	case was && !doubted && ahead > most:
		d.opts.Logger.InfoContext(ctx, "retention by age goes on: the clock was not set back, and is believed", "ahead", ahead)
	case was && !doubted:
		d.opts.Logger.InfoContext(ctx, "retention by age goes on: the clock was set back", "ahead", ahead)
	}
	return doubted
}

// trim removes old blocks, and counts what lanes lose by that. What they had lost
// before the start, by damage or because no record of a gap was durable when the
// process ended, is counted the first time.
func (d *Deliverer) trim(ctx context.Context, p *part, now time.Time) error {
	before := d.log.First(p.name)
	limit, err := d.removable(ctx, p, now)
	if err != nil {
		return err
	}
	if limit > before {
		if err := d.log.Trim(ctx, p.name, limit); err != nil {
			return err
		}
	}
	first := d.log.First(p.name)
	if first == p.expired {
		return nil
	}
	if first != before {
		d.opts.Logger.InfoContext(ctx, "retention removed events", "partition", p.name, "first", before, "last", first-1)
	}
	all := true
	for _, l := range p.lanes() {
		done, err := d.expireBelow(ctx, l, first)
		if err != nil {
			return err
		}
		all = all && done
	}
	if all {
		p.expired = first
	}
	return nil
}

// removable returns the number below which the blocks of a partition are old
// enough, or too many, and no stream is entitled to them; 0 for none.
func (d *Deliverer) removable(ctx context.Context, p *part, now time.Time) (uint64, error) {
	keep := d.opts.Retention[p.name]
	var limit uint64
	if keep.Age > 0 {
		seq, err := d.log.Since(ctx, p.name, now.Add(-keep.Age))
		if err != nil {
			return 0, err
		}
		limit = seq
	}
	limit = max(limit, d.overBytes(p, keep.Bytes))
	if limit == 0 {
		return 0, nil
	}
	// What the tail has not made durable is needed for the next start.
	limit = min(limit, p.saved.Load()+1)
	for _, l := range p.lanes() {
		l.mu.Lock()
		entitled := l.rec.Since.IsZero() || now.Before(l.rec.Since.Add(d.opts.Protect))
		if l.behind && !l.gone && !l.done() && entitled {
			limit = min(limit, l.rec.Cursor+1)
		}
		l.mu.Unlock()
	}
	return limit, nil
}

// overBytes returns up to where blocks have to go for the partition to fit into
// most bytes, taking them to be of equal size; 0 when it fits.
func (d *Deliverer) overBytes(p *part, most int64) uint64 {
	st := d.log.Stats(p.name).State
	if most <= 0 || st.Bytes <= most || st.First == 0 {
		return 0
	}
	events := float64(st.Last.Last() - st.First + 1)
	return st.First + uint64(events*float64(st.Bytes-most)/float64(st.Bytes))
}

// expireBelow counts what a lane had not delivered below first as expired. It
// reports false when the lane has a turn or a plan: then it may find out by itself,
// and is asked again.
func (d *Deliverer) expireBelow(ctx context.Context, l *lane, first uint64) (done bool, err error) {
	concerned := func() bool { return l.behind && !l.gone && l.rec.Cursor+1 < first && !l.done() }
	l.mu.Lock()
	is, busy := concerned(), l.phase == running
	l.mu.Unlock()
	if !is || busy {
		return !is, nil
	}
	to, err := d.readableFrom(ctx, l, first)
	if err != nil {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !concerned():
		return true, nil
	case l.phase == running || !l.voidPlan(to.Seq+1):
		return false, nil
	}
	from := l.rec.Cursor + 1
	l.lose(to, hole{First: from, Last: to.Seq, Cause: d.log.Lost(l.p.name, from, to.Seq)})
	l.rec.Hole = nil // what is missing is known
	return true, nil
}

// readableFrom returns the position behind which the first block from a number on
// lies that can be read: how much was lost of what lies between cannot be told
// number by number.
func (d *Deliverer) readableFrom(ctx context.Context, l *lane, seq uint64) (Start, error) {
	next := d.log.Last(l.p.name) + 1 // before reading: what is stored meanwhile comes after it
	switch b, err := d.log.Block(ctx, l.p.name, seq); {
	case err == nil:
		next = b.First
	case !errors.Is(err, io.EOF):
		return Start{}, err
	}
	total, err := d.log.Before(ctx, l.p.name, l.s.scope, next)
	return Start{Seq: next - 1, Total: total}, err
}

// forecast announces that a stream that is behind will lose events, when half,
// 80 and 95 percent of the time until then have passed.
func (d *Deliverer) forecast(ctx context.Context, p *part, now time.Time) {
	keep := d.opts.Retention[p.name]
	over := d.overBytes(p, keep.Bytes)
	if keep.Age == 0 && over == 0 {
		return
	}
	for _, l := range p.lanes() {
		l.mu.Lock()
		behind, since, cursor, told := l.rec.Behind && !l.rec.Since.IsZero() && !l.done() && !l.gone, l.rec.Since, l.rec.Cursor, l.rec.Announced
		l.mu.Unlock()
		if !behind {
			continue
		}
		oldest, err := d.log.AcceptedAt(ctx, p.name, cursor+1)
		if errors.Is(err, io.EOF) || err != nil {
			continue
		}
		at := keep.expiry(since.Add(d.opts.Protect), oldest, cursor+1 < over)
		if !at.After(since) {
			continue
		}
		percent := percentBetween(since, at, now)
		for _, step := range []int{95, 80, 50} {
			if percent >= step && told < step {
				d.announce(l, step, at)
				break
			}
		}
	}
}

// percentBetween returns how much of the time from one moment to a later one has
// passed. A hundred times three years are too long for a Duration.
func percentBetween(from, to, now time.Time) int {
	return int(100 * now.Sub(from).Seconds() / to.Sub(from).Seconds())
}

func (d *Deliverer) announce(l *lane, step int, at time.Time) {
	st, ok := d.laneState(l)
	if !ok || st.Ledger.Pending == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rec.Announced = step
	l.notice("stream.gap_expected", map[string]any{
		"partition": l.p.name, "events": st.Ledger.Pending, "first_seq": l.rec.Cursor + 1,
		"expected_at": at.UTC().Format(time.RFC3339), "percent_of_time": step,
	})
}
