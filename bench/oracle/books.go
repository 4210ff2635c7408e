package oracle

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"sync"
	"time"
)

// books are what the oracle knows of each event that it issued. They may be used
// at once.
type books struct {
	maker maker
	epoch time.Time // instants are microseconds since then

	mu     sync.Mutex
	events []entry // by serial number
	acked  int
	tally  map[string]tally // by tenant, "" for all
	waits  []wait
	ids    map[uint64]string          // of events whose id the server made, by serial number
	high   map[string]uint64          // highest acknowledged position, by partition
	lasts  map[string]map[uint64]bool // positions that answers named, by partition
}

// entry is what became of an issued event at this end.
type entry struct {
	n      number
	issued int64 // instant before the first post
	acked  int64 // instant after the answer; 0 for none yet
}

// tally counts events.
type tally struct{ issued, acked int }

type wait struct {
	acked int
	done  chan struct{}
}

func newBooks(seed uint64) *books {
	return &books{maker: maker{seed}, epoch: time.Now().Add(-time.Second), ids: map[uint64]string{},
		tally: map[string]tally{}, high: map[string]uint64{}, lasts: map[string]map[uint64]bool{}}
}

// now returns the instant: wall clock, because the server's acceptance times are.
func (b *books) now() int64 { return b.at(time.Now()) }

func (b *books) at(t time.Time) int64 { return t.Round(0).Sub(b.epoch.Round(0)).Microseconds() }

// issue makes the numbers of a new request.
func (b *books) issue(producer int, keyed bool, count int) []number {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	out := make([]number, count)
	for i := range out {
		out[i] = newNumber(uint64(len(b.events)), producer, keyed)
		b.events = append(b.events, entry{n: out[i], issued: now})
	}
	b.add(out[0].tenant(), tally{issued: count})
	return out
}

// acknowledge notes that every event of a request is stored.
func (b *books) acknowledge(list []number) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	for _, n := range list {
		b.events[n.serial()].acked = now
	}
	b.acked += len(list)
	b.add(list[0].tenant(), tally{acked: len(list)})
	for i := 0; i < len(b.waits); i++ {
		if b.waits[i].acked <= b.acked {
			close(b.waits[i].done)
			b.waits = append(b.waits[:i], b.waits[i+1:]...)
			i--
		}
	}
}

// add adds to the tallies. The books are locked.
func (b *books) add(tenant string, more tally) {
	for _, scope := range []string{"", tenant} {
		t := b.tally[scope]
		b.tally[scope] = tally{t.issued + more.issued, t.acked + more.acked}
	}
}

// tallies returns how many events of each tenant were issued and acknowledged.
func (b *books) tallies() map[string]tally {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.tally)
}

// await waits until so many events are acknowledged.
func (b *books) await(ctx context.Context, acked int, patience time.Duration) error {
	b.mu.Lock()
	if b.acked >= acked {
		b.mu.Unlock()
		return nil
	}
	done := make(chan struct{})
	b.waits = append(b.waits, wait{acked, done})
	b.mu.Unlock()
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-done:
		return nil
	case <-t.C:
		return fmt.Errorf("the server did not acknowledge enough events within %v", patience)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *books) totals() (issued, acked int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.events), b.acked
}

// list returns the entries; those of them that are there do not move.
func (b *books) list() []entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]entry(nil), b.events...)
}

// check reports what is wrong with an event of the oracle that arrived somewhere:
// not issued, bytes changed, or another id than elsewhere.
func (b *books) check(n number, payload, scratch []byte) (string, []byte) {
	b.mu.Lock()
	known := n.serial() < uint64(len(b.events)) && b.events[n.serial()].n == n
	b.mu.Unlock()
	if !known {
		return "was never issued", scratch
	}
	id := ownID(n)
	if n.keyed() {
		var ok bool
		if id, ok = frontID(payload); !ok {
			return fmt.Sprintf("has no id in front: %.60q", payload), scratch
		}
		b.mu.Lock()
		before := b.ids[n.serial()]
		if before == "" {
			b.ids[n.serial()] = id
		}
		b.mu.Unlock()
		if before != "" && before != id {
			return fmt.Sprintf("has the id %s, and had %s before", id, before), scratch
		}
	}
	scratch = b.maker.appendEvent(scratch[:0], n, id, false)
	if string(scratch) != string(payload) {
		return fmt.Sprintf("has changed bytes: got %q, want %q", payload, scratch), scratch
	}
	return "", scratch
}

// idOf returns the id of an issued event, "" when nobody has seen it yet.
func (b *books) idOf(n number) string {
	if !n.keyed() {
		return ownID(n)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ids[n.serial()]
}

// marks returns the highest positions acknowledged so far.
func (b *books) marks() map[string]uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make(map[string]uint64, len(b.high))
	for p, seq := range b.high {
		out[p] = seq
	}
	return out
}

// advance notes the positions of an answer to a request that was posted for the
// first time, when before were the highest. It reports what is wrong with them.
func (b *books) advance(before, last map[string]uint64) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for p, seq := range last {
		if seq <= before[p] {
			return fmt.Sprintf("position %d in %s was given out, and %d before that", seq, p, before[p])
		}
		if b.lasts[p] == nil {
			b.lasts[p] = map[uint64]bool{}
		}
		if b.lasts[p][seq] {
			return fmt.Sprintf("position %d in %s was given out twice", seq, p)
		}
		b.lasts[p][seq] = true
		b.high[p] = max(b.high[p], seq)
	}
	return ""
}

// journal is the oracle's own record of what was acknowledged: what is not in it
// does not count as acknowledged. It may be written to at once.
type journal struct {
	mu   sync.Mutex
	file *os.File
}

// acknowledgement is a line of the journal.
type acknowledgement struct {
	First number            `json:"first"`
	Count int               `json:"count"`
	Last  map[string]uint64 `json:"last"`
}

func openJournal(path string) (*journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	return &journal{file: f}, nil
}

// write returns when the line is on disk.
func (j *journal) write(a acknowledgement) error {
	line, err := json.Marshal(a)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	if err := j.file.Sync(); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}

// count reads the journal and returns how many events it holds.
func (j *journal) count() (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	f, err := os.Open(j.file.Name())
	if err != nil {
		return 0, fmt.Errorf("read journal: %w", err)
	}
	defer f.Close()
	total := 0
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var a acknowledgement
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			return 0, fmt.Errorf("read journal: %w", err)
		}
		total += a.Count
	}
	return total, lines.Err()
}

func (j *journal) close() { _ = j.file.Close() } // every line was synced
