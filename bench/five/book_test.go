package five

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
)

// book is what the test knows by itself: which events were acknowledged, and,
// once somebody has seen them, the ids that the server made and the events that it
// wrote about itself.
type book struct {
	mu    sync.Mutex
	keyed [events]bool
	acked int
	ids   map[int]string    // of keyed events
	own   map[string]string // the server's own events by id
	wrong []string
	count int // of what is wrong
}

func newBook(list []request) *book {
	b := &book{ids: map[int]string{}, own: map[string]string{}}
	for _, r := range list {
		for n := r.first; n < r.first+r.count; n++ {
			b.keyed[n] = r.key != ""
		}
	}
	return b
}

// maxWrong bounds what is told in words.
const maxWrong = 20

// find notes that something is wrong.
func (b *book) find(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.note(format, args...)
}

func (b *book) note(format string, args ...any) {
	if b.count++; len(b.wrong) < maxWrong {
		b.wrong = append(b.wrong, fmt.Sprintf(format, args...))
	}
}

func (b *book) acknowledge(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.acked += n
}

func (b *book) acknowledged() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.acked
}

// ownCount returns how many of the server's own events were seen anywhere.
func (b *book) ownCount() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.own)
}

// check compares what arrived at a kind with what was posted and with what other
// kinds got, and returns the event's id; ok is false when it does not count. said
// is the id that goes along in the kind's own field, "" when there is none.
func (b *book) check(kind, said string, payload []byte) (id string, ok bool) {
	var head struct {
		ID   string `json:"id"`
		Type string `json:"event_type"`
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := json.Unmarshal(payload, &head); err != nil || head.ID == "" {
		b.note("%s: got what is no event: %.200q", kind, payload)
		return "", false
	}
	if head.Type == "sluice.check" {
		return "", false
	}
	if said != "" && said != head.ID {
		b.note("%s: event %s came with the id %s", kind, head.ID, said)
	}
	want, ok := b.want(kind, head.ID, payload)
	if !ok {
		b.note("%s: event with another id than elsewhere: %.200q", kind, payload)
		return "", false
	}
	if string(payload) != want {
		b.note("%s: event %s has changed bytes: got %q, want %q", kind, head.ID, payload, want)
		return "", false
	}
	return head.ID, true
}

// want returns what an event has to look like; ok is false when its id is not
// stable. b is locked.
func (b *book) want(kind, id string, payload []byte) (_ string, ok bool) {
	n, posted := numberOf(payload)
	if !posted {
		if b.own[id] == "" {
			b.own[id] = string(payload)
		}
		return b.own[id], true
	}
	known := ownID(n)
	if b.keyed[n] {
		if b.ids[n] == "" {
			b.ids[n] = id
		}
		known = b.ids[n]
	}
	return string(stored(n, id, kind)), id == known
}

// expected returns the ids of all events, the server's own included, that a kind
// accepts, and the numbers of those that it refuses. missing counts events whose ids nobody knows.
func (b *book) expected(kind string) (accepted map[string]bool, refused map[string]int, missing int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	accepted, refused = map[string]bool{}, map[string]int{}
	for id := range b.own {
		accepted[id] = true
	}
	for n := range events {
		id := ownID(n)
		if b.keyed[n] {
			id = b.ids[n]
		}
		switch {
		case id == "":
			missing++
		case poisonOf(n) == kind:
			refused[id] = n
		default:
			accepted[id] = true
		}
	}
	return accepted, refused, missing
}

func (b *book) findings() (words []string, count int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.wrong), b.count
}

// shelf is what a receiver has accepted.
type shelf struct {
	kind string
	book *book
	once bool // every event is to arrive once

	mu       sync.Mutex
	arrivals map[string]int // by id
	order    []string       // the ids, as they came first
	total    int
}

func newShelf(kind string, b *book) *shelf {
	return &shelf{kind: kind, book: b, arrivals: map[string]int{}}
}

// take counts an arrival. said is as for [book.check].
func (s *shelf) take(said string, payload []byte) {
	id, ok := s.book.check(s.kind, said, payload)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.arrivals[id] == 0 {
		s.order = append(s.order, id)
	}
	s.arrivals[id]++
	s.total++
	if s.once && s.arrivals[id] > 1 {
		s.book.find("%s: event %s is there %d times", s.kind, id, s.arrivals[id])
	}
}

// count returns how many different events have arrived, and how often one came
// again.
func (s *shelf) count() (distinct, duplicates int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.arrivals), s.total - len(s.arrivals)
}

func (s *shelf) has(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.arrivals[id]
}
