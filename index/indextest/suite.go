// Package indextest tests engines of indexes: all that implement [index.Engine]
// behave the same. It also holds what any search can be compared with: a corpus
// by chance, queries by chance, and their answers by looking at every event.
package indextest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sluicelog/sluice/index"
)

// Open opens an engine on what was kept in a folder before, or begins there. It
// is called again for the same folder after Close.
type Open func(t *testing.T, dir string) index.Engine

// Test runs every engine test.
func Test(t *testing.T, open Open) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Open)
	}{
		{"answers", testAnswers},
		{"restart", testRestart},
		{"refused chunks", testRefused},
		{"position alone", testPositionAlone},
		{"drop", testDrop},
		{"damaged page", testDamage},
		{"renew", testRenew},
		{"renew given up", testRenewGivenUp},
		{"partitions", testPartitions},
		{"closed", testClosed},
		{"at once", testAtOnce},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open) })
	}
}

// position returns that of a test's log.
func position(seq uint64) index.Position {
	return index.Position{Log: [16]byte{1, 2, 3}, Format: index.Format, Seq: seq}
}

// seal returns events as a chunk.
func seal(events []index.Event) *index.Sealed {
	h := index.NewHead()
	for i := range events {
		h.Add(&events[i])
	}
	return h.Seal()
}

// openPartition opens a partition of a new engine, to be closed with the test.
func openPartition(t *testing.T, open Open, dir string) (index.Engine, index.Partition) {
	t.Helper()
	e := open(t, dir)
	p, err := e.Open(t.Context(), "audit")
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { closeBoth(t, e, p) })
	return e, p
}

func closeBoth(t *testing.T, e index.Engine, p index.Partition) {
	t.Helper()
	if err := errors.Join(p.Close(), e.Close()); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// store appends events as chunks of at most size events.
func store(t *testing.T, p index.Partition, events []index.Event, size int) {
	t.Helper()
	for part := range slices.Chunk(events, size) {
		if err := p.Append(t.Context(), seal(part), position(part[len(part)-1].Seq)); err != nil {
			t.Fatalf("Append: %v", err)
		}
	}
}

// parts returns what is stored in p.
func parts(t *testing.T, p index.Partition, cache *index.Cache) []index.Part {
	t.Helper()
	infos, err := p.Chunks(t.Context())
	if err != nil {
		t.Fatalf("Chunks: %v", err)
	}
	var list []index.Part
	for _, info := range infos {
		list = append(list, index.NewChunk(p, info, cache))
	}
	return list
}

func wantPosition(t *testing.T, p index.Partition, want index.Position) {
	t.Helper()
	got, err := p.Position(t.Context())
	if err != nil || got != want {
		t.Errorf("Position: got %+v, error %v; want %+v", got, err, want)
	}
}

// wantEvents checks that the chunks of p hold exactly these events.
func wantEvents(t *testing.T, p index.Partition, events []index.Event) {
	t.Helper()
	q := index.Query{Scope: index.Everything()}
	got, err := Ask(t.Context(), parts(t, p, index.NewCache(1<<20)), &q)
	if err != nil {
		t.Fatalf("Find: %v", err)
	}
	if want := NewOracle(events).Answer(&q); !slices.Equal(got.Hits, want.Hits) {
		t.Errorf("stored events: got %d, want %d", len(got.Hits), len(want.Hits))
	}
}

func testAnswers(t *testing.T, open Open) {
	for _, seed := range []uint64{1, 2} {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 0))
			_, p := openPartition(t, open, t.TempDir())
			events := Events(r, 10, 6000)
			store(t, p, events[:5000], 1700)
			list := parts(t, p, index.NewCache(int(seed)<<17))
			head := index.NewHead()
			for i := range events[5000:] {
				head.Add(&events[5000+i])
			}
			Compare(t, r, events, append(list, head), 120)
		})
	}
}

func testRestart(t *testing.T, open Open) {
	dir := t.TempDir()
	events := Events(rand.New(rand.NewPCG(1, 1)), 0, 900)
	e := open(t, dir)
	p, err := e.Open(t.Context(), "audit")
	if err != nil {
		t.Fatal(err)
	}
	wantPosition(t, p, index.Position{})
	store(t, p, events[:600], 200)
	before, err := p.Chunks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	closeBoth(t, e, p)

	_, p = openPartition(t, open, dir)
	wantPosition(t, p, position(events[599].Seq))
	after, err := p.Chunks(t.Context())
	if err != nil || !slices.Equal(before, after) {
		t.Errorf("chunks after a restart: got %+v, error %v; want %+v", after, err, before)
	}
	store(t, p, events[600:], 300)
	wantEvents(t, p, events)
	if size, err := p.Size(t.Context()); err != nil || size < after[0].Bytes {
		t.Errorf("Size: got %d, error %v; want %d at least", size, err, after[0].Bytes)
	}
}

func testRefused(t *testing.T, open Open) {
	_, p := openPartition(t, open, t.TempDir())
	events := Events(rand.New(rand.NewPCG(2, 1)), 100, 300)
	store(t, p, events[:200], 200)
	at := events[199].Seq
	foreign, other := position(at+1000), position(at+1000)
	foreign.Log[0]++
	other.Format++
	for _, c := range []struct {
		name  string
		chunk *index.Sealed
		to    index.Position
	}{
		{"a chunk that is there", seal(events[:200]), position(at)},
		{"a chunk that begins below the position", seal(events[150:]), position(at + 1000)},
		{"a position below the chunk's end", seal(events[200:]), position(events[250].Seq)},
		{"a position that goes back", nil, position(at - 1)},
		{"another log", seal(events[200:]), foreign},
		{"another format", nil, other},
	} {
		if err := p.Append(t.Context(), c.chunk, c.to); err == nil {
			t.Errorf("Append of %s: got no error", c.name)
		}
	}
	wantPosition(t, p, position(at))
	wantEvents(t, p, events[:200])
}

func testPositionAlone(t *testing.T, open Open) {
	dir := t.TempDir()
	e, p := openPartition(t, open, dir)
	if err := p.Append(t.Context(), nil, position(50)); err != nil {
		t.Fatalf("Append of a position: %v", err)
	}
	closeBoth(t, e, p)
	_, p = openPartition(t, open, dir)
	wantPosition(t, p, position(50))
	wantEvents(t, p, nil)
}

func testDrop(t *testing.T, open Open) {
	dir := t.TempDir()
	e, p := openPartition(t, open, dir)
	events := Events(rand.New(rand.NewPCG(3, 1)), 0, 1000)
	store(t, p, events, 100)
	cut := events[299].Accepted
	n, err := p.Drop(t.Context(), time.UnixMicro(cut))
	if err != nil || n != 2 {
		t.Errorf("Drop of what was accepted before the third chunk's last event: got %d, error %v; want 2", n, err)
	}
	wantEvents(t, p, events[200:])
	if n, err = p.Drop(t.Context(), time.UnixMicro(cut+1)); err != nil || n < 1 {
		t.Errorf("Drop of the third chunk: got %d, error %v; want 1 at least", n, err)
	}
	if _, err := p.Page(t.Context(), events[0].Seq, 0); !errors.Is(err, index.ErrDamaged) {
		t.Errorf("Page of a chunk that was dropped: got error %v, want %v", err, index.ErrDamaged)
	}
	if _, err = p.Drop(t.Context(), time.UnixMicro(events[999].Accepted+1)); err != nil {
		t.Errorf("Drop of everything: %v", err)
	}
	closeBoth(t, e, p)
	_, p = openPartition(t, open, dir)
	wantPosition(t, p, position(events[999].Seq))
	wantEvents(t, p, nil)
}

// spoiled is a partition of which one page has a bit changed.
type spoiled struct {
	index.Partition
	page, bit int
}

func (s *spoiled) Page(ctx context.Context, first uint64, page int) ([]byte, error) {
	b, err := s.Partition.Page(ctx, first, page)
	if err == nil && page == s.page {
		b[s.bit/8%len(b)] ^= 1 << (s.bit % 8)
	}
	return b, err
}

// Whatever bit of whatever page changes, a query answers rightly or says that the
// index is damaged.
func testDamage(t *testing.T, open Open) {
	_, p := openPartition(t, open, t.TempDir())
	r := rand.New(rand.NewPCG(4, 1))
	events := Events(r, 0, 2500)
	store(t, p, events, 2500)
	infos, err := p.Chunks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	oracle, damaged := NewOracle(events), 0
	for range 200 {
		bad := &spoiled{Partition: p, page: r.IntN(infos[0].Pages), bit: r.IntN(1 << 20)}
		q := RandomQuery(r, events)
		got, err := Ask(t.Context(), []index.Part{index.NewChunk(bad, infos[0], index.NewCache(1<<20))}, &q)
		switch want := oracle.Answer(&q); {
		case errors.Is(err, index.ErrDamaged):
			damaged++
		case err != nil:
			t.Errorf("ask a damaged chunk: got error %v, want %v", err, index.ErrDamaged)
		case !slices.Equal(got.Hits, want.Hits):
			t.Errorf("ask a damaged chunk %+v: got %d hits, want %d", q, len(got.Hits), len(want.Hits))
		}
	}
	if damaged == 0 {
		t.Error("no damage was found")
	}
	if _, err := p.Page(t.Context(), infos[0].First, infos[0].Pages); !errors.Is(err, index.ErrDamaged) {
		t.Errorf("Page behind the last: got error %v, want %v", err, index.ErrDamaged)
	}
}

func testRenew(t *testing.T, open Open) {
	dir := t.TempDir()
	e, p := openPartition(t, open, dir)
	events := Events(rand.New(rand.NewPCG(5, 1)), 0, 1200)
	store(t, p, events[:400], 200)
	anew, err := e.Renew(t.Context(), "audit")
	if err != nil {
		t.Fatalf("Renew: %v", err)
	}
	if again, err := e.Renew(t.Context(), "audit"); err == nil {
		t.Errorf("a second Renew: got no error, closed with %v", again.Close())
	}
	wantPosition(t, anew, index.Position{})
	store(t, anew, events[:800], 300)
	wantEvents(t, p, events[:400])
	if err := e.Adopt(t.Context(), anew); err != nil {
		t.Fatalf("Adopt: %v", err)
	}
	wantEvents(t, p, events[:400]) // until it is closed
	if err := p.Append(t.Context(), nil, position(9999)); err == nil {
		t.Error("Append to what was replaced: got no error")
	}
	if err := p.Close(); err != nil {
		t.Errorf("Close of what was replaced: %v", err)
	}
	store(t, anew, events[800:], 300)
	closeBoth(t, e, anew)
	_, p = openPartition(t, open, dir)
	wantPosition(t, p, position(events[1199].Seq))
	wantEvents(t, p, events)
}

func testRenewGivenUp(t *testing.T, open Open) {
	dir := t.TempDir()
	e, p := openPartition(t, open, dir)
	events := Events(rand.New(rand.NewPCG(6, 1)), 0, 500)
	store(t, p, events[:200], 200)
	for range 2 {
		anew, err := e.Renew(t.Context(), "audit")
		if err != nil {
			t.Fatalf("Renew: %v", err)
		}
		wantEvents(t, anew, nil)
		store(t, anew, events, 300)
		if err := anew.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		if err := e.Adopt(t.Context(), anew); err == nil {
			t.Error("Adopt of what was closed: got no error")
		}
	}
	closeBoth(t, e, p)
	_, p = openPartition(t, open, dir)
	wantPosition(t, p, position(events[199].Seq))
	wantEvents(t, p, events[:200])
}

func testPartitions(t *testing.T, open Open) {
	e, audit := openPartition(t, open, t.TempDir())
	if again, err := e.Open(t.Context(), "audit"); err == nil {
		t.Errorf("a second Open: got no error, closed with %v", again.Close())
	}
	git, err := e.Open(t.Context(), "git")
	if err != nil {
		t.Fatal(err)
	}
	events := Events(rand.New(rand.NewPCG(7, 1)), 0, 300)
	store(t, git, events, 300)
	wantEvents(t, audit, nil)
	wantEvents(t, git, events)
	if err := git.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if git, err = e.Open(t.Context(), "git"); err != nil {
		t.Fatalf("Open after Close: %v", err)
	}
	wantEvents(t, git, events)
	if err := errors.Join(git.Close(), git.Close()); err != nil {
		t.Errorf("Close twice: %v", err)
	}
}

func testClosed(t *testing.T, open Open) {
	e, p := openPartition(t, open, t.TempDir())
	closeBoth(t, e, p)
	_, openErr := e.Open(t.Context(), "audit")
	_, renewErr := e.Renew(t.Context(), "audit")
	_, positionErr := p.Position(t.Context())
	_, chunksErr := p.Chunks(t.Context())
	_, pageErr := p.Page(t.Context(), 1, 0)
	_, dropErr := p.Drop(t.Context(), time.Now())
	_, sizeErr := p.Size(t.Context())
	for i, err := range []error{openErr, renewErr, positionErr, chunksErr, pageErr, dropErr, sizeErr,
		p.Append(t.Context(), nil, position(1))} {
		if !errors.Is(err, index.ErrClosed) {
			t.Errorf("call %d after Close: got error %v, want %v", i, err, index.ErrClosed)
		}
	}
}

// Readers ask while chunks come and go.
func testAtOnce(t *testing.T, open Open) {
	_, p := openPartition(t, open, t.TempDir())
	r := rand.New(rand.NewPCG(8, 1))
	events := Events(r, 0, 3000)
	store(t, p, events[:500], 500)
	list := parts(t, p, index.NewCache(1<<16))
	head := index.NewHead()
	done := make(chan error)
	for i := range 3 {
		r := rand.New(rand.NewPCG(9, uint64(i)))
		go func() {
			for range 60 {
				q := RandomQuery(r, events)
				if _, err := Ask(t.Context(), append(slices.Clip(list), head), &q); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for part := range slices.Chunk(events[500:], 250) {
		for i := range part {
			head.Add(&part[i])
		}
		store(t, p, part, 250)
	}
	for range 3 {
		if err := <-done; err != nil {
			t.Errorf("ask while chunks are appended: %v", err)
		}
	}
}
