package search

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicelog/sluice/index"
)

// errNotOpen says that a partition's index does not answer yet.
var errNotOpen = errors.New("the index is not open")

// States of a partition's index.
const (
	StateOpening    = "opening"    // nothing is found yet
	StateFollowing  = "following"  // it follows the log
	StateRebuilding = "rebuilding" // it is made anew
)

// shelf is what queries know of a partition: the parts that answer, and up to
// where they cover the log. Its indexer changes it.
type shelf struct {
	name   string
	broken chan struct{} // holds a sign when a query met damage
	memory atomic.Int64  // bytes of the head
	kept   atomic.Int64  // bytes of the head before it, while that is being stored

	mu      sync.Mutex
	parts   []index.Part // oldest first, the head last; the slice is replaced, never changed
	open    bool         // parts answer
	indexed uint64       // every event up to it is in parts
	building
	unread uint64 // events that were found and that the log lacks without saying so
	wake   func() // ends the waiting of the indexer; nil when it does not wait
}

// building is what the indexer tells of itself.
type building struct {
	state  string
	reason string // why the index is made anew
	seq    uint64 // how far that is
	stored index.Partition
	err    error // why indexing waits, nil when it does not
}

func newShelf(name string) *shelf {
	return &shelf{name: name, broken: make(chan struct{}, 1), building: building{state: StateOpening}}
}

// show makes parts what queries see; all events up to seq are in them.
func (sh *shelf) show(parts []index.Part, seq uint64) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.parts, sh.open, sh.indexed = parts, true, seq
}

// advance says that the head holds every event up to seq.
func (sh *shelf) advance(seq uint64) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.indexed = seq
}

// hide makes queries wait for the next show.
func (sh *shelf) hide() {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.parts, sh.open = nil, false
}

func (sh *shelf) tell(b building) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.building = b
}

// trouble notes why indexing waits, nil when it goes on.
func (sh *shelf) trouble(err error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.building.err = err
}

// look returns the parts that answer, and up to where they cover the log.
func (sh *shelf) look() (parts []index.Part, indexed uint64, err error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if !sh.open {
		return nil, 0, errNotOpen
	}
	return sh.parts, sh.indexed, nil
}

// has reports whether a part is still among those that answer.
func (sh *shelf) has(p index.Part) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return slices.Contains(sh.parts, p)
}

// damaged tells the indexer that a part cannot be read.
func (sh *shelf) damaged() {
	select {
	case sh.broken <- struct{}{}:
	default:
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.wake != nil {
		sh.wake()
	}
}

// waking has f called when there is something to do, until it is replaced.
func (sh *shelf) waking(f func()) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.wake = f
}

func (sh *shelf) missed(n int) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.unread += uint64(n)
}

// Status describes the index of one partition at this moment.
type Status struct {
	Partition string
	State     string // StateOpening, StateFollowing or StateRebuilding
	Reason    string // why it is made anew
	Problem   string // why indexing waits, "" when it does not
	Indexed   uint64 // events up to this number are found
	Built     uint64 // while it is made anew: up to where that is done
	Stored    uint64 // number of the newest event in the log
	Lag       uint64 // how many numbers the index is behind
	LagTime   time.Duration
	Events    uint64 // in the index
	Chunks    int
	Bytes     int64  // that it occupies, the head not counted
	Unread    uint64 // since the start: found, and not in the log without a recorded cause
}

// Status describes the index of each partition, by name.
func (s *Service) Status(ctx context.Context) []Status {
	out := make([]Status, len(s.shelves))
	for i, sh := range s.shelves {
		out[i] = s.statusOf(ctx, sh)
	}
	return out
}

func (s *Service) statusOf(ctx context.Context, sh *shelf) Status {
	sh.mu.Lock()
	parts, b := sh.parts, sh.building
	st := Status{Partition: sh.name, State: b.state, Reason: b.reason, Indexed: sh.indexed, Built: b.seq, Unread: sh.unread}
	sh.mu.Unlock()
	if b.err != nil {
		st.Problem = b.err.Error()
	}
	for _, p := range parts {
		info := p.Info()
		st.Events += uint64(info.Events)
		if _, head := p.(*index.Head); !head {
			st.Chunks++
		}
	}
	if b.stored != nil {
		if n, err := b.stored.Size(ctx); err == nil {
			st.Bytes = n
		}
	}
	st.Stored = s.log.Stored(sh.name)
	st.Lag, st.LagTime = s.lag(ctx, sh.name, st.Indexed, st.Stored)
	return st
}

// lag returns how far an index that covers the log up to a number is behind.
func (s *Service) lag(ctx context.Context, partition string, indexed, stored uint64) (uint64, time.Duration) {
	next := max(indexed+1, s.log.First(partition))
	if next > stored || !s.readable(partition, next) {
		return 0, 0
	}
	var late time.Duration
	if at, err := s.log.AcceptedAt(ctx, partition, next); err == nil {
		late = max(0, s.cfg.Now().Sub(at))
	}
	return stored - next + 1, late
}

// Lag returns how long ago the oldest event was accepted that is in the log and
// not found yet; 0 when every event is.
func (s *Service) Lag(ctx context.Context) time.Duration {
	var most time.Duration
	for _, sh := range s.shelves {
		sh.mu.Lock()
		indexed := sh.indexed
		sh.mu.Unlock()
		_, late := s.lag(ctx, sh.name, indexed, s.log.Stored(sh.name))
		most = max(most, late)
	}
	return most
}
