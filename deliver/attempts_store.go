package deliver

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/store"
)

// activityPrefix begins the keys of journals: activity/STREAM/PARTITION/now, and
// activity/STREAM/PARTITION/DAY for the minutes of a day (days since 1970), those
// of its last hours left out as long as they are in "now". Their values are
// binary. Samples of what waited are below activity/STREAM/PARTITION/lag/, see
// lagPrefix.
const activityPrefix = "activity/"

const (
	journalVersion = 1
	// journalDelay is how long a change waits until it is stored; with very many
	// journals it takes longer.
	journalDelay = 30 * time.Second
	journalPace  = time.Second // between two batches
	journalBatch = 200         // journals stored at once
	// maxMinuteLog bounds the minutes in memory, in bytes: little more than an
	// hour unless they cannot be stored. Then they are dropped.
	maxMinuteLog = 8 << 10
)

// journals holds what the lanes did lately. Nothing depends on it but what
// people are shown: it is stored with a delay, and the last seconds before a
// crash may be missing. A lane that does nothing has no journal in memory.
type journals struct {
	store  store.Store
	logger *slog.Logger
	bytes  atomic.Int64 // of all rings
	kick   chan struct{}

	writing sync.Mutex // held while journals are stored or erased

	mu    sync.Mutex
	dirty []*journal // in the order in which they became so
}

func newJournals(s store.Store, logger *slog.Logger) *journals {
	return &journals{store: s, logger: logger, kick: make(chan struct{}, 1)}
}

// journal is what one lane did lately.
type journal struct {
	js *journals
	of *lane

	mu      sync.Mutex
	loaded  bool
	version uint64 // of the stored record, 0 when there is none
	dirty   bool
	gone    bool // the lane was removed: nothing is stored any more
	ring    ring
	open    minute    // under way
	closed  minuteLog // minutes before, not in the record of their day yet
	fresh   uint64    // events delivered since the journal is in memory
	failing int64     // ms; the first failure since the last success, 0 when that was later
	success int64     // ms; the last success
}

// prefix begins the keys of its records.
func (j *journal) prefix() string { return journalPrefix(j.of) }

func journalPrefix(l *lane) string {
	return fmt.Sprintf("%s%d/%s/", activityPrefix, l.s.id, l.p.name)
}

// open returns a journal that is not loaded yet.
func (js *journals) open(l *lane) *journal { return &journal{js: js, of: l} }

// ready loads what is stored, once. Without it the journal begins anew. The
// journal is locked.
func (j *journal) ready(ctx context.Context) error {
	if j.loaded {
		return nil
	}
	rec, err := j.js.store.Get(ctx, j.prefix()+"now")
	switch {
	case err == nil:
		j.version = rec.Version
		j.decode(rec.Value)
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	j.loaded = true
	return nil
}

// add keeps an attempt.
func (j *journal) add(a *Attempt) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.ready(context.Background()); err != nil {
		j.js.logger.Warn("earlier attempts not read", "record", j.prefix(), "err", err)
		j.loaded = true // what was is lost; it only informs
	}
	end := a.Time.Add(a.Took)
	switch at := minuteOf(end); {
	case at > j.open.at:
		if len(j.closed.b) > maxMinuteLog {
			j.closed = minuteLog{}
		}
		j.closed.add(j.open)
		j.open = minute{at: at}
	case at < j.open.at-1: // more than attempts at once are apart
		j.setBack(at)
	}
	j.open.delivered += uint64(a.Delivered)
	j.fresh += uint64(a.Delivered)
	switch {
	case a.Class == "":
		j.open.bytes += uint64(a.Bytes)
		j.failing, j.success = 0, end.UnixMilli()
	default:
		j.open.failures++
		if j.failing == 0 && a.Class != destination.RejectedBatch.String() {
			j.failing = a.Time.UnixMilli()
		}
	}
	most := maxRing
	if j.js.bytes.Load() > crowded {
		most = crowdedRing
	}
	before := cap(j.ring.b)
	j.ring.add(a, most)
	if grown := cap(j.ring.b) - before; grown != 0 {
		j.js.bytes.Add(int64(grown))
	}
	if !j.dirty && !j.gone {
		j.dirty = true
		j.js.changed(j)
	}
}

// setBack goes on at an earlier minute, when the clock was set back: what was counted
// for later ones belongs to it. The journal is locked.
func (j *journal) setBack(at int64) {
	var before minuteLog
	now := minute{}
	for _, m := range append(readMinutes(j.closed.b), j.open) {
		if m.at < at {
			before.add(m)
		} else {
			now.add(m)
		}
	}
	now.at = at
	j.closed, j.open = before, now
}

func (js *journals) changed(j *journal) {
	js.mu.Lock()
	js.dirty = append(js.dirty, j)
	js.mu.Unlock()
	poke(js.kick)
}

func (j *journal) attempts(ctx context.Context) ([]Attempt, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.ready(ctx); err != nil {
		return nil, err
	}
	return j.ring.list(), nil
}

func (j *journal) failingSince() time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	return fromMillis(j.failing)
}

func (j *journal) lastSuccess(ctx context.Context) (time.Time, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	err := j.ready(ctx)
	return fromMillis(j.success), err
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// minutes returns the minutes from since on, and the count of fresh up to which
// they go.
func (j *journal) minutes(ctx context.Context, since int64) (out []minute, fresh uint64, err error) {
	j.mu.Lock()
	err = j.ready(ctx)
	recent := readMinutes(j.closed.b)
	until := int64(math.MaxInt64)
	if j.open.at != 0 {
		recent = append(recent, j.open)
		until = recent[0].at // of stored ones: what is later is of a clock that was ahead
	}
	fresh = j.fresh
	j.mu.Unlock()
	if err != nil {
		return nil, 0, err
	}
	last := since - 1
	take := func(list []minute) {
		for _, m := range list {
			if m.at > last && m.at < until {
				out = append(out, m)
				last = m.at
			}
		}
	}
	// What moves into a day's record meanwhile is taken from recent.
	for rec, err := range j.js.store.List(ctx, j.prefix()) {
		if err != nil {
			return nil, 0, err
		}
		if day, ok := dayIn(j.prefix(), rec.Key); ok && day >= dayOf(since) {
			take(readMinutes(rec.Value))
		}
	}
	until = math.MaxInt64
	take(recent)
	return out, fresh, nil
}

// dayIn returns which day's record is under a key that begins with prefix, if any
// is.
func dayIn(prefix, key string) (int64, bool) {
	day, err := strconv.ParseInt(strings.TrimPrefix(key, prefix), 10, 64)
	return day, err == nil
}

// encode returns the journal's record. The journal is locked.
func (j *journal) encode() []byte {
	closed := j.closed
	closed.b = closed.b[:len(closed.b):len(closed.b)]
	if j.open.at != 0 {
		closed.add(j.open) // after a restart the minute goes on, see decode
	}
	b := make([]byte, 0, 64+len(closed.b)+len(j.ring.b)+len(j.ring.base.words))
	b = append(b, journalVersion)
	b = binary.AppendVarint(b, j.failing)
	b = binary.AppendVarint(b, j.success)
	b = binary.AppendUvarint(b, uint64(len(closed.b)))
	b = append(b, closed.b...)
	return j.ring.encode(b)
}

// decode reads a record. One of another version, or damaged, is as good as none.
func (j *journal) decode(b []byte) {
	r := &reader{b: b}
	if r.byte() != journalVersion {
		return
	}
	failing, success := r.varint(), r.varint()
	minutes := readMinutes(r.bytes(r.uvarint()))
	if !j.ring.decode(r) {
		return
	}
	j.failing, j.success = failing, success
	if n := len(minutes); n > 0 {
		for _, m := range minutes[:n-1] {
			j.closed.add(m)
		}
		j.open = minutes[n-1]
	}
	j.js.bytes.Add(int64(cap(j.ring.b)))
}

// run stores journals until ctx ends, then those that are left.
func (js *journals) run(ctx context.Context) {
	pause := func(d time.Duration) {
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
	}
	for {
		select {
		case <-js.kick:
		case <-ctx.Done():
		}
		for delay := journalDelay; ctx.Err() == nil; delay = journalPace {
			if pause(delay); ctx.Err() != nil || !js.flush(ctx, journalBatch) {
				break
			}
		}
		if ctx.Err() != nil {
			js.flush(context.WithoutCancel(ctx), -1)
			return
		}
	}
}

// flush stores at most n journals, all of them when n is negative, and reports
// whether there are more.
func (js *journals) flush(ctx context.Context, n int) (more bool) {
	js.writing.Lock()
	defer js.writing.Unlock()
	js.mu.Lock()
	if n < 0 || n > len(js.dirty) {
		n = len(js.dirty)
	}
	batch := js.dirty[:n:n]
	js.dirty = append([]*journal(nil), js.dirty[n:]...)
	more = len(js.dirty) > 0
	js.mu.Unlock()
	for len(batch) > 0 {
		part := batch[:min(len(batch), journalBatch)]
		batch = batch[len(part):]
		if err := js.save(ctx, part); err != nil && ctx.Err() == nil {
			js.logger.WarnContext(ctx, "attempts not stored", "err", err)
		}
	}
	return more
}

// save stores journals. One that fails stays as it is and is stored when it
// changes again.
func (js *journals) save(ctx context.Context, batch []*journal) error {
	var errs []error
	changes := make([]store.Change, 0, len(batch))
	saved := make([]*journal, 0, len(batch))
	versions := make([]uint64, len(batch))
	for _, j := range batch {
		if err := j.closeDays(ctx); err != nil {
			errs = append(errs, err)
		}
		j.mu.Lock()
		j.dirty = false
		if !j.gone {
			changes = append(changes, store.Change{Key: j.prefix() + "now", Value: j.encode(), Version: j.version, NewVersion: &versions[len(saved)]})
			saved = append(saved, j)
		}
		j.mu.Unlock()
	}
	if len(changes) == 0 {
		return errors.Join(errs...)
	}
	applied := js.store.Apply(ctx, changes...)
	for i, j := range saved {
		j.mu.Lock()
		if applied == nil || applied[i] == nil {
			j.version = versions[i]
		} else {
			errs = append(errs, applied[i])
			if errors.Is(applied[i], store.ErrConflict) {
				j.reread(ctx)
			}
		}
		j.mu.Unlock()
	}
	return errors.Join(errs...)
}

// reread takes up the version of a record that is not the one that was expected,
// as after a write whose answer was lost.
func (j *journal) reread(ctx context.Context) {
	j.version = 0
	if rec, err := j.js.store.Get(ctx, j.prefix()+"now"); err == nil {
		j.version = rec.Version
	}
}

// closeDays moves the minutes of past hours into the records of their days.
func (j *journal) closeDays(ctx context.Context) error {
	j.mu.Lock()
	var list []minute
	if j.closed.first != 0 && j.closed.first/60 < j.open.at/60 && !j.gone {
		list = readMinutes(j.closed.b)
	}
	j.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	last := list[len(list)-1].at
	for len(list) > 0 {
		day, n := dayOf(list[0].at), 0
		for n < len(list) && dayOf(list[n].at) == day {
			n++
		}
		if err := j.appendDay(ctx, day, list[:n]); err != nil {
			return err
		}
		list = list[n:]
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	var left minuteLog // what was closed meanwhile
	for _, m := range readMinutes(j.closed.b) {
		if m.at > last {
			left.add(m)
		}
	}
	j.closed = left
	return nil
}

// appendDay adds minutes to the record of a day. What is there from the first of them
// on goes: it is of a try before, or of a clock that was ahead. With the first of a
// day, days long past go.
func (j *journal) appendDay(ctx context.Context, day int64, list []minute) error {
	key := j.prefix() + strconv.FormatInt(day, 10)
	rec, err := j.js.store.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		err = j.js.forget(ctx, j.prefix(), day)
	}
	if err != nil {
		return err
	}
	var log minuteLog
	for _, m := range readMinutes(rec.Value) {
		if m.at < list[0].at {
			log.add(m)
		}
	}
	for _, m := range list {
		log.add(m)
	}
	errs := j.js.store.Apply(ctx, store.Change{Key: key, Value: log.b, Version: rec.Version})
	return errors.Join(errs...)
}

// forget deletes the records of days that are too long before the given one, and
// those after it, which are of a wrong clock.
func (js *journals) forget(ctx context.Context, prefix string, today int64) error {
	var changes []store.Change
	for rec, err := range js.store.List(ctx, prefix) {
		if err != nil {
			return err
		}
		if day, ok := dayIn(prefix, rec.Key); ok && (day > today || day < today-int64(MaxActivity/(24*time.Hour))) {
			changes = append(changes, store.Change{Key: rec.Key, Version: rec.Version})
		}
	}
	if len(changes) == 0 {
		return nil
	}
	return applied(js.store.Apply(ctx, changes...), store.ErrConflict)
}

// erase deletes everything that is stored of a removed lane.
func (js *journals) erase(ctx context.Context, l *lane) error {
	js.writing.Lock()
	defer js.writing.Unlock()
	prefix := journalPrefix(l)
	if j := l.journal.Load(); j != nil {
		j.mu.Lock()
		if !j.gone {
			j.gone = true
			js.bytes.Add(-int64(cap(j.ring.b)))
			j.ring = ring{}
		}
		j.mu.Unlock()
	}
	var changes []store.Change
	for rec, err := range js.store.List(ctx, prefix) {
		if err != nil {
			return fmt.Errorf("list attempts: %w", err)
		}
		changes = append(changes, store.Change{Key: rec.Key, Version: rec.Version})
	}
	if len(changes) == 0 {
		return nil
	}
	return applied(js.store.Apply(ctx, changes...), store.ErrConflict)
}
