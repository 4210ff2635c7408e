package flip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/eventlog"
)

// judgeLog opens the log of a damaged copy as the server does, reads everything,
// appends, and does so again: what was found the first time stays so.
func judgeLog(ctx context.Context, f *flip, dir string) error {
	for life := range 2 {
		o, err := f.state.openLog(ctx, dir)
		if err != nil {
			return fmt.Errorf("life %d: open: %w", life, err)
		}
		j := logJudge{flip: f, openLog: o}
		err = j.judge(ctx, life)
		if err := errors.Join(err, o.close()); err != nil {
			return fmt.Errorf("life %d: %w", life, err)
		}
		if f.seed%3 != 0 {
			break
		}
	}
	return nil
}

// judgeBeside opens the log and the control state beside a damaged file that is of no
// use: nothing is refused, and all is as it was.
func judgeBeside(ctx context.Context, f *flip, dir string) error {
	if err := judgeControl(ctx, f, dir); err != nil {
		return fmt.Errorf("control state: %v", err) // also when it is the damage that is found
	}
	o, err := f.state.openLog(ctx, dir)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	j := logJudge{flip: f, openLog: o}
	for name, p := range f.state.parts {
		lost, reading := j.read(ctx, name, p)
		if damage := o.log.Damage(name); len(lost)+len(damage) > 0 {
			reading = errors.Join(reading, fmt.Errorf("%d events of %s are lost, and named is %v", len(lost), name, damage))
		}
		err = errors.Join(err, reading)
	}
	return errors.Join(err, o.close())
}

type logJudge struct {
	*flip
	*openLog
}

func (j *logJudge) judge(ctx context.Context, life int) error {
	hit, b := j.block()
	for name, p := range j.state.parts {
		lost, err := j.read(ctx, name, p)
		if err != nil {
			return err
		}
		var may *place
		if name == hit {
			may = b
		}
		if err := j.lost(name, p, lost, may); err != nil {
			return err
		}
		if err := j.totals(name, p, may); err != nil {
			return err
		}
	}
	if b == nil && life == 0 {
		if err := j.named(ctx, hit); err != nil {
			return err
		}
	}
	if b != nil {
		if err := j.pick(ctx, hit, b); err != nil {
			return err
		}
	}
	return j.append(ctx, life)
}

// named holds that a flip that costs nothing is named: by the start, or when what it
// has hit is used, which the search for a time does.
func (j *logJudge) named(ctx context.Context, name string) error {
	p, file := j.state.parts[name], filepath.Base(j.file)
	for _, b := range p.ends() {
		if b.file == file {
			if _, err := j.log.Since(ctx, name, time.UnixMicro(p.events[b.last-1].accepted)); err != nil {
				return err
			}
		}
	}
	if len(j.log.Damage(name)) == 0 {
		return errors.New("nothing names the flip")
	}
	return nil
}

// read reads the partition and returns the numbers that are not there. Where only
// links to sound files are, reading the directories will do, mostly.
func (j *logJudge) read(ctx context.Context, name string, p *part) (lost []uint64, err error) {
	next := uint64(1)
	pass := func(seq uint64) {
		for ; next < seq && next <= last(p); next++ {
			lost = append(lost, next)
		}
		next = seq + 1
	}
	check := func(seq uint64, e event) error {
		pass(seq)
		switch {
		case seq > last(p) && e.kind != appended:
			return fmt.Errorf("event %d of %s was never there", seq, name)
		case seq <= last(p) && e != p.events[seq-1]:
			return fmt.Errorf("event %d of %s is changed: got %.200q, want %.200q", seq, name, fmt.Sprint(e), fmt.Sprint(p.events[seq-1]))
		}
		return nil
	}
	from, to := uint64(1), uint64(math.MaxUint64)
	if j.seed%8 != 0 {
		from, to = p.around(j.file, name)
	}
	if err = j.outlines(ctx, name, 1, from, pass); err == nil {
		err = j.each(ctx, name, from, to, check)
	}
	if err == nil {
		err = j.outlines(ctx, name, to, math.MaxUint64, pass)
	}
	pass(last(p) + 1)
	return lost, err
}

// around returns the numbers from the first of a file's to the first behind it.
func (p *part) around(file, partition string) (from, to uint64) {
	from, to = math.MaxUint64, math.MaxUint64
	for i := range p.places {
		switch b := &p.places[i]; {
		case filepath.Join("log", partition, b.file) == file:
			from, to = min(from, b.first), math.MaxUint64
		case from < math.MaxUint64 && to == math.MaxUint64:
			to = b.first
		}
	}
	return from, to
}

// outlines passes the numbers from one on up to another that directories have.
func (j *logJudge) outlines(ctx context.Context, name string, from, to uint64, pass func(seq uint64)) error {
	for from < to {
		o, err := j.log.Outline(ctx, name, from)
		if errors.Is(err, io.EOF) || err == nil && o.First >= to {
			return nil
		}
		if err != nil {
			return err
		}
		for i := range o.Entries {
			pass(o.First + uint64(i))
		}
		from = o.Last() + 1
	}
	return nil
}

// lost judges what is not there: it is the block that was hit, all of it, and it is
// named, or lies where the log ends and is never given out again.
func (j *logJudge) lost(name string, p *part, lost []uint64, b *place) error {
	damage := j.log.Damage(name)
	switch {
	case b == nil && len(lost) > 0:
		return fmt.Errorf("events of %s from %d on are lost, and no block was hit", name, lost[0])
	case b != nil && (len(lost) != int(b.last-b.first+1) || lost[0] != b.first):
		return fmt.Errorf("%d events of %s are lost (%v), want those from %d to %d", len(lost), name, ends(lost), b.first, b.last)
	}
	for _, seq := range lost {
		named := slices.ContainsFunc(damage, func(d eventlog.Damage) bool { return d.First <= seq && seq <= d.Last })
		if !named && seq <= j.log.Stored(name) {
			return fmt.Errorf("event %d of %s is lost, and not named in %v", seq, name, damage)
		}
	}
	for _, d := range damage {
		within := b != nil && d.First >= b.first && min(d.Last, last(p)) <= b.last
		if d.First > 0 && d.First <= last(p) && !within {
			return fmt.Errorf("named is more than was hit: %v", d)
		}
	}
	if got := j.log.Last(name); got < last(p) {
		return fmt.Errorf("%s goes on behind %d, and %d was given out", name, got, last(p))
	}
	return nil
}

func ends(list []uint64) []uint64 {
	if len(list) > 2 {
		return []uint64{list[0], list[len(list)-1]}
	}
	return list
}

// totals compares the running totals, which ledgers are made of. Only those of a
// namespace whose last events were lost may lie below, and only by these.
func (j *logJudge) totals(name string, p *part, b *place) error {
	_, got := j.log.Totals(name)
	for top, want := range p.totals {
		var lost uint64
		if b != nil {
			for i := range p.events[b.first-1:] {
				e := &p.events[b.first-1+uint64(i)]
				inside := b.first+uint64(i) <= b.last
				if e.top != top && top != sluice.Instance {
					continue
				}
				if !inside {
					lost = 0 // a later block tells
					break
				}
				lost++
			}
		}
		if got[top]+lost < want {
			return fmt.Errorf("total of %q in %s: got %d, want %d (%d events of it may be lost)", top, name, got[top], want, lost)
		}
	}
	return nil
}

// pick reads the events of the block that was hit one by one, through its outline:
// those of frames that are whole are there, and none is another.
func (j *logJudge) pick(ctx context.Context, name string, b *place) error {
	p := j.state.parts[name]
	o, err := j.log.Outline(ctx, name, b.first)
	if errors.Is(err, io.EOF) || err == nil && o.First > b.last {
		return nil
	}
	if err != nil {
		return err
	}
	for i := range o.Entries {
		seq := o.First + uint64(i)
		payload, err := o.Event(i)
		switch {
		case errors.Is(err, eventlog.ErrDamaged):
		case err != nil:
			return err
		case describe(&o.Header, o.Directory, i, payload) != p.events[seq-1]:
			return fmt.Errorf("event %d of %s is changed when it is read by itself", seq, name)
		}
	}
	return nil
}

// appended is the type of events that are appended after a flip, in git's class
// where that begins with "git.".
const appended = "git.flip"

// append appends to the partition that was hit, behind all that was ever there, and
// reads it back.
func (j *logJudge) append(ctx context.Context, life int) error {
	name, _ := j.block()
	p := j.state.parts[name]
	scanner := &sluice.Scanner{}
	payload, env, _, err := scanner.Scan(nil, fmt.Appendf(nil, `{"id":"flip-%d-%d","event_type":"%s","entity_path":"acme/web"}`, j.seed, life, appended))
	if err != nil {
		return err
	}
	before := j.log.Last(name)
	var batch eventlog.Batch
	batch.Add(payload, &env, "t1")
	got, err := j.log.Append(ctx, map[string]*eventlog.Batch{name: &batch})
	if err != nil {
		return fmt.Errorf("append: %w", err)
	}
	seq := got[name].Last
	if got[name].Accepted != 1 || seq <= before || seq <= last(p) {
		return fmt.Errorf("append: got %+v, behind %d", got[name], before)
	}
	b, err := j.log.Block(ctx, name, seq)
	if err != nil {
		return fmt.Errorf("read what was appended: %w", err)
	}
	back, err := b.Payload(int(seq - b.First))
	if err != nil || string(back) != string(payload) {
		return fmt.Errorf("read what was appended: got %q, want %q (%v)", back, payload, err)
	}
	_, hit := j.block()
	if m := b.Missing; life == 0 && hit != nil && hit.last == last(p) && (m == nil || m.First != hit.first || m.Last != b.First-1) {
		return fmt.Errorf("the block behind the end that was lost says that %v is missing, want %d to %d", m, hit.first, b.First-1)
	}
	return nil
}
