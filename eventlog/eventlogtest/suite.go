package eventlogtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/sluicelog/sluice/eventlog"
)

// Harness is an engine under test.
type Harness struct {
	// Log is the identity of the log.
	Log eventlog.LogID
	// Open opens the engine on everything that was stored before. The engine that
	// it returned before has been closed.
	Open func() (eventlog.Engine, error)
	// SetFull takes away all free space and gives it back, while the engine is
	// open. Nil for an engine that has no such limit of its own.
	SetFull func(full bool)
	// Break makes the next write of the open engine fail, once. Nil if that cannot
	// be done.
	Break func()
	// Damage changes the byte at offset of the stored block that starts with
	// number first, while the engine is closed. Nil if that cannot be done.
	Damage func(partition string, first uint64, offset int)
}

// Test runs the suite; start is called for each test and returns an empty engine.
func Test(t *testing.T, start func(t *testing.T) Harness) {
	tests := []struct {
		name string
		run  func(t *testing.T, b *bench)
	}{
		{"Empty", testEmpty},
		{"AppendAndRead", testAppendAndRead},
		{"Since", testSince},
		{"GapsInNumbers", testGaps},
		{"Reopen", testReopen},
		{"Trim", testTrim},
		{"LargeBlock", testLargeBlock},
		{"SmallBlocks", testSmallBlocks},
		{"Partitions", testPartitions},
		{"Names", testNames},
		{"OpenTwice", testOpenTwice},
		{"WrongBlocks", testWrongBlocks},
		{"Concurrent", testConcurrent},
		{"Full", testFull},
		{"Broken", testBroken},
		{"Outlines", testOutlines},
		{"Closed", testClosed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := &bench{t: t, Harness: start(t)}
			b.open()
			test.run(t, b)
			b.close()
		})
	}
}

// bench is what one test works on.
type bench struct {
	Harness
	t      *testing.T
	engine eventlog.Engine
	part   eventlog.Partition
	Maker
	stored [][]byte // everything that was appended to part
}

const partition = "audit"

func (b *bench) open() {
	b.t.Helper()
	var err error
	if b.engine, err = b.Open(); err != nil {
		b.t.Fatalf("open engine: %v", err)
	}
	if b.part, err = b.engine.Open(context.Background(), partition); err != nil {
		b.t.Fatalf("open partition: %v", err)
	}
	b.Maker.Log, b.Partition = b.Harness.Log, partition
}

func (b *bench) close() {
	b.t.Helper()
	if err := b.part.Close(); err != nil {
		b.t.Errorf("close partition: %v", err)
	}
	if err := b.engine.Close(); err != nil {
		b.t.Errorf("close engine: %v", err)
	}
}

// append stores a block of count events and size bytes.
func (b *bench) append(count, size int) []byte {
	b.t.Helper()
	block := b.Block(count, size)
	if err := b.part.Append(context.Background(), block); err != nil {
		b.t.Fatalf("append block of %d bytes: %v", len(block), err)
	}
	b.stored = append(b.stored, block)
	return block
}

// next reads the block at seq and compares it.
func (b *bench) next(seq uint64, want []byte) eventlog.Header {
	b.t.Helper()
	s, err := b.part.Next(context.Background(), seq)
	if err != nil {
		b.t.Fatalf("next %d: %v", seq, err)
	}
	b.same(s, want)
	return s.Header
}

func (b *bench) same(s eventlog.Stored, want []byte) {
	b.t.Helper()
	got, err := Read(s)
	if err != nil {
		b.t.Fatalf("read: %v", err)
	}
	h, err := eventlog.ParseHeader(want)
	if err != nil {
		b.t.Fatalf("parse header: %v", err)
	}
	if s.Header != h || !bytes.Equal(got, want) {
		b.t.Fatalf("block at %d: got one that starts at %d, want %d with the same bytes", h.First, s.Header.First, h.First)
	}
}

// all reads everything in order and compares it with what was stored from the
// given index on.
func (b *bench) all(from int) {
	b.t.Helper()
	seq := uint64(1)
	for _, want := range b.stored[from:] {
		h := b.next(seq, want)
		seq = h.Last() + 1
	}
	b.end(seq)
	b.state(from)
}

// end expects nothing at seq.
func (b *bench) end(seq uint64) {
	b.t.Helper()
	if s, err := b.part.Next(context.Background(), seq); !errors.Is(err, io.EOF) {
		b.t.Fatalf("next %d: got block %d and %v, want io.EOF", seq, s.Header.First, err)
	}
}

// state compares the state with what was stored from the given index on.
func (b *bench) state(from int) {
	b.t.Helper()
	got := b.part.State()
	var first uint64
	var last eventlog.Header
	var size int64
	for i, block := range b.stored[from:] {
		h, err := eventlog.ParseHeader(block)
		if err != nil {
			b.t.Fatalf("parse header: %v", err)
		}
		if i == 0 {
			first = h.First
		}
		last = h
		size += int64(len(block))
	}
	if got.First != first || got.Last != last {
		b.t.Errorf("state: got %d to %d, want %d to %d", got.First, got.Last.First, first, last.First)
	}
	if got.Bytes < size {
		b.t.Errorf("state: got %d bytes, want at least %d", got.Bytes, size)
	}
	if len(got.Damage) != 0 || got.Reserved != 0 {
		b.t.Errorf("state: got damage %v, reserved %d, want none", got.Damage, got.Reserved)
	}
}

func testEmpty(t *testing.T, b *bench) {
	b.all(0)
	if _, err := b.part.Since(t.Context(), time.Time{}); !errors.Is(err, io.EOF) {
		t.Errorf("since: got %v, want io.EOF", err)
	}
	if err := b.part.Trim(t.Context(), 100); err != nil {
		t.Errorf("trim: %v", err)
	}
	b.close()
	b.open()
	b.all(0)
}

func testAppendAndRead(t *testing.T, b *bench) {
	for i := range 40 {
		block := b.append(1+i%7, 20+i*997)
		// What the caller does with its buffer afterwards is its own affair.
		b.stored[i] = bytes.Clone(block)
		clear(block)
	}
	b.all(0)
	for _, want := range b.stored {
		h, err := eventlog.ParseHeader(want)
		if err != nil {
			t.Fatal(err)
		}
		for seq := h.First; seq <= h.Last(); seq++ {
			b.next(seq, want)
		}
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.part.Next(canceled, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("next: got %v, want context.Canceled", err)
	}
	b.all(0)
}

func testSince(t *testing.T, b *bench) {
	for range 30 {
		b.append(2, 50_000)
	}
	for i, want := range b.stored {
		at := Start().Add(time.Duration(i+1) * time.Second)
		for _, d := range []time.Duration{0, -time.Microsecond, -time.Second + time.Microsecond} {
			s, err := b.part.Since(t.Context(), at.Add(d))
			if err != nil {
				t.Fatalf("since %v: %v", at.Add(d), err)
			}
			b.same(s, want)
		}
	}
	if _, err := b.part.Since(t.Context(), b.Accepted.Add(time.Microsecond)); !errors.Is(err, io.EOF) {
		t.Errorf("since the end: got %v, want io.EOF", err)
	}
	if s, err := b.part.Since(t.Context(), time.Time{}); err != nil {
		t.Errorf("since the beginning: %v", err)
	} else {
		b.same(s, b.stored[0])
	}
}

func testGaps(_ *testing.T, b *bench) {
	b.Maker.Next = 1000
	for i := range 10 {
		b.append(3, 1000)
		b.Maker.Next += uint64(i * 10)
	}
	b.all(0)
	b.next(500, b.stored[0])
	b.next(1006+1, b.stored[2]) // behind the first gap of 10
	b.close()
	b.open()
	b.all(0)
}

func testReopen(_ *testing.T, b *bench) {
	for i := range 12 {
		b.append(2, 150_000+i)
		b.close()
		b.open()
		b.all(0)
	}
}

func testTrim(t *testing.T, b *bench) {
	for range 40 {
		b.append(5, 100_000)
	}
	before := b.part.State()
	held, err := b.part.Next(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	kept := 0
	for _, seq := range []uint64{0, 1, 60, 60, 120, 1 << 40} {
		if err := b.part.Trim(t.Context(), seq); err != nil {
			t.Fatalf("trim %d: %v", seq, err)
		}
		first := b.part.State().First
		for ; first > b.at(kept).First; kept++ {
			if h := b.at(kept); h.Last() >= seq {
				t.Fatalf("trim %d: removed block that ends at %d", seq, h.Last())
			}
		}
		b.all(kept)
	}
	if kept < 20 || kept > len(b.stored)-1 {
		t.Errorf("trim: removed %d of %d blocks, want most of them, but not the newest", kept, len(b.stored))
	}
	if after := b.part.State(); after.Bytes >= before.Bytes {
		t.Errorf("trim: got %d bytes, want less than %d", after.Bytes, before.Bytes)
	}
	b.same(held, b.stored[0])
	b.append(1, 1000)
	b.close()
	b.open()
	b.all(kept)
}

// at returns the header of the block with the given index.
func (b *bench) at(i int) eventlog.Header {
	h, err := eventlog.ParseHeader(b.stored[i])
	if err != nil {
		b.t.Fatalf("parse header: %v", err)
	}
	return h
}
