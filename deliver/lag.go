package deliver

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/store"
)

// LagEvery is how often it is looked at what waits for streams.
const LagEvery = 10 * time.Minute

const (
	// lagPrefix begins the keys of the records that say when a partition's lanes
	// were looked at, lag/PARTITION/DAY. What waited for a lane then is in
	// activity/STREAM/PARTITION/lag/DAY; where that has nothing, nothing waited. So
	// a stream that is up to date costs nothing, and a time at which nobody looked
	// is not taken for one at which nothing waited.
	lagPrefix = "lag/"
	// lagPace is the pause between two batches of samples.
	lagPace = 100 * time.Millisecond
)

// Lag is what a stream had pending at one moment.
type Lag struct {
	// Time is the beginning of the LagEvery in which the moment lies.
	Time   time.Time
	Events uint64
	Age    time.Duration // of the oldest of them, in whole seconds
}

// sample is what a lane had pending at one moment.
type sample struct {
	slot    int64  // which LagEvery since 1970
	pending uint64 // events
	age     uint64 // of the oldest, in seconds
}

const slotSeconds = int64(LagEvery / time.Second)

// maxSlot is beyond every slot that a clock shows, see [maxMinute].
const maxSlot = maxMinute * 60 / slotSeconds

func slotOf(t time.Time) int64 { return t.Unix() / slotSeconds }

// dayOfSlot returns the day since 1970.
func dayOfSlot(slot int64) int64 { return slot / int64(24*time.Hour/LagEvery) }

// laneSample is a sample with its lane, nil for the mark that all were looked at.
type laneSample struct {
	l      *lane
	prefix string // of the key
	sample
}

// lagPrefixOf begins the keys of the records of a lane.
func lagPrefixOf(l *lane) string { return journalPrefix(l) + "lag/" }

// sample keeps what waits for each lane of a partition, unless that was done in
// the same slot since the start.
func (d *Deliverer) sample(ctx context.Context, p *part, now time.Time) error {
	slot := slotOf(now)
	if slot == p.sampled {
		return nil
	}
	var list []laneSample
	for _, l := range p.lanes() {
		st, _ := d.laneState(l)
		if st.Ledger.Pending == 0 {
			continue
		}
		s := sample{slot: slot, pending: st.Ledger.Pending}
		if !st.OldestPending.IsZero() {
			s.age = uint64(max(0, now.Sub(st.OldestPending)) / time.Second)
		}
		list = append(list, laneSample{l, lagPrefixOf(l), s})
	}
	for batch := range slices.Chunk(list, journalBatch) {
		if err := d.journals.keep(ctx, batch); err != nil {
			return err
		}
		select {
		case <-time.After(lagPace):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	// Last: it vouches for the others.
	if err := d.journals.keep(ctx, []laneSample{{prefix: lagPrefix + p.name + "/", sample: sample{slot: slot}}}); err != nil {
		return err
	}
	p.sampled = slot
	return nil
}

// keep adds samples to the records of their day, which takes a few bytes each.
func (js *journals) keep(ctx context.Context, list []laneSample) error {
	js.writing.Lock() // a lane that is removed must not get a record again
	defer js.writing.Unlock()
	changes := make([]store.Change, 0, len(list))
	for i := range list {
		s := &list[i]
		if s.l != nil && s.l.isGone() {
			continue
		}
		day := dayOfSlot(s.slot)
		key := s.prefix + strconv.FormatInt(day, 10)
		rec, err := js.store.Get(ctx, key)
		if errors.Is(err, store.ErrNotFound) {
			err = js.forget(ctx, s.prefix, day)
		}
		if err != nil {
			return err
		}
		changes = append(changes, store.Change{Key: key, Value: addSample(rec.Value, s.sample), Version: rec.Version})
	}
	return errors.Join(js.store.Apply(ctx, changes...)...)
}

func (l *lane) isGone() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gone
}

// addSample returns the samples in b with one more. Those of the same slot, and of
// later ones, which are of a wrong clock, go.
func addSample(b []byte, s sample) []byte {
	kept, last := 0, int64(0)
	for r := (&reader{b: b}); ; {
		next := r.sample(last)
		if r.bad || next.slot >= s.slot {
			break
		}
		kept, last = len(b)-len(r.b), next.slot
	}
	out := binary.AppendUvarint(slices.Clip(b[:kept]), uint64(s.slot-last))
	out = binary.AppendUvarint(out, s.pending)
	return binary.AppendUvarint(out, s.age)
}

// sample reads the next sample after one of slot last.
func (r *reader) sample(last int64) sample {
	return sample{slot: last + r.step(maxSlot-last), pending: r.uvarint(), age: r.uvarint()}
}

// readSamples returns the samples in b. What cannot be read ends it.
func readSamples(b []byte) []sample {
	var out []sample
	last := int64(0)
	for r := (&reader{b: b}); ; {
		s := r.sample(last)
		if r.bad {
			return out
		}
		out, last = append(out, s), s.slot
	}
}

// Lag returns what a stream had pending from since on, the oldest first: a figure
// for each LagEvery in which all its lanes were looked at. A server that did not
// run, or whose clock was set forward, looked at none. They are kept for
// MaxActivity.
func (d *Deliverer) Lag(ctx context.Context, id sluice.StreamID, since time.Time) ([]Lag, error) {
	s, err := d.stream(id)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	if oldest := now.Add(-MaxActivity); since.Before(oldest) {
		since = oldest
	}
	looks, sums := map[int64]int{}, map[int64]sample{}
	for _, l := range s.lanes {
		looked, err := d.journals.samples(ctx, lagPrefix+l.p.name+"/", since, now)
		if err != nil {
			return nil, fmt.Errorf("read when partition %s was looked at: %w", l.p.name, err)
		}
		for _, s := range looked {
			looks[s.slot]++
		}
		list, err := d.journals.samples(ctx, lagPrefixOf(l), since, now)
		if err != nil {
			return nil, fmt.Errorf("read lag of stream %d: %w", id, err)
		}
		for _, s := range list {
			sum := sums[s.slot]
			sums[s.slot] = sample{pending: sum.pending + s.pending, age: max(sum.age, s.age)}
		}
	}
	var out []Lag
	for slot, n := range looks {
		if n == len(s.lanes) {
			sum := sums[slot]
			out = append(out, Lag{Time: time.Unix(slot*slotSeconds, 0).UTC(), Events: sum.pending, Age: time.Duration(sum.age) * time.Second})
		}
	}
	slices.SortFunc(out, func(a, b Lag) int { return a.Time.Compare(b.Time) })
	return out, nil
}

// samples returns those below a prefix whose slots begin at since or later, and
// not after now.
func (js *journals) samples(ctx context.Context, prefix string, since, now time.Time) ([]sample, error) {
	first, last := slotOf(since.Add(LagEvery-1)), slotOf(now)
	var out []sample
	for rec, err := range js.store.List(ctx, prefix) {
		if err != nil {
			return nil, err
		}
		if day, ok := dayIn(prefix, rec.Key); !ok || day < dayOfSlot(first) || day > dayOfSlot(last) {
			continue
		}
		for _, s := range readSamples(rec.Value) {
			if s.slot >= first && s.slot <= last {
				out = append(out, s)
			}
		}
	}
	return out, nil
}
