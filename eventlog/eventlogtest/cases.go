package eventlogtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/sluicelog/sluice/eventlog"
)

func testLargeBlock(_ *testing.T, b *bench) {
	b.append(1, 1000)
	b.append(1, 5<<20)
	b.append(1, 1000)
	b.append(1, 3<<20)
	b.append(1, 2<<20)
	b.all(0)
	b.close()
	b.open()
	b.append(1, 3<<20)
	b.all(0)
}

func testSmallBlocks(t *testing.T, b *bench) {
	for range 4000 {
		b.append(1, 300)
	}
	b.all(0)
	b.close()
	b.open()
	b.all(0)
	for seq := uint64(len(b.stored)); seq > 0; seq -= min(seq, 97) {
		b.next(seq, b.stored[seq-1])
	}
	if got, want := b.part.State().Last.Total, uint64(len(b.stored)); got != want {
		t.Errorf("total: got %d, want %d", got, want)
	}
}

func testPartitions(t *testing.T, b *bench) {
	names := []string{partition}
	parts := []eventlog.Partition{b.part}
	makers := []*Maker{&b.Maker}
	for i := range 20 {
		name := fmt.Sprintf("p%02d", i)
		p, err := b.engine.Open(t.Context(), name)
		if err != nil {
			t.Fatalf("open %q: %v", name, err)
		}
		names, parts = append(names, name), append(parts, p)
		makers = append(makers, &Maker{Log: b.Harness.Log, Partition: name})
	}
	want := make([][]byte, len(parts))
	for i, p := range parts {
		want[i] = makers[i].Block(1+i, 1000)
		if err := p.Append(t.Context(), want[i]); err != nil {
			t.Fatalf("append to %q: %v", names[i], err)
		}
	}
	for i, p := range parts {
		s, err := p.Next(t.Context(), 1)
		if err != nil {
			t.Fatalf("next in %q: %v", names[i], err)
		}
		b.same(s, want[i])
		if i == 0 {
			continue
		}
		if err := p.Close(); err != nil {
			t.Errorf("close %q: %v", names[i], err)
		}
	}
	got, err := b.engine.Partitions(t.Context())
	if err != nil || !slices.Equal(got, names) {
		t.Errorf("partitions: got %q, %v, want %q", got, err, names)
	}
}

func testNames(t *testing.T, b *bench) {
	long := string(bytes.Repeat([]byte("a"), 65))
	for _, name := range []string{"", ".", "..", "a/b", "../a", "A", "a b", "é", "-a", long} {
		if p, err := b.engine.Open(t.Context(), name); err == nil {
			t.Errorf("open %q: got %v, want an error", name, p)
		}
	}
	if got, err := b.engine.Partitions(t.Context()); err != nil || !slices.Equal(got, []string{partition}) {
		t.Errorf("partitions: got %q, %v, want only %q", got, err, partition)
	}
}

func testOpenTwice(t *testing.T, b *bench) {
	b.append(1, 100)
	if _, err := b.engine.Open(t.Context(), partition); err == nil {
		t.Error("second open: got no error")
	}
	if err := b.part.Close(); err != nil {
		t.Fatal(err)
	}
	var err error
	if b.part, err = b.engine.Open(t.Context(), partition); err != nil {
		t.Fatalf("open after close: %v", err)
	}
	b.all(0)
}

// testWrongBlocks appends what must not be stored. Each ends the partition, for
// its caller's numbers can no longer be trusted.
func testWrongBlocks(t *testing.T, b *bench) {
	b.append(10, 1000)
	fresh := func() *Maker { return &Maker{Log: b.Harness.Log, Partition: partition, Next: 11} }
	tests := []struct {
		name  string
		block func() []byte
	}{
		{"number used before", func() []byte { m := fresh(); m.Next = 10; return m.Block(5, 100) }},
		{"another log", func() []byte { m := fresh(); m.Log[3] ^= 1; return m.Block(5, 100) }},
		{"another partition", func() []byte { m := fresh(); m.Partition = "git"; return m.Block(5, 100) }},
		{"cut", func() []byte { m := fresh().Block(5, 100); return m[:len(m)-1] }},
		{"too long", func() []byte { return append(fresh().Block(5, 100), 0) }},
		{"damaged header", func() []byte { m := fresh().Block(5, 100); m[20] ^= 1; return m }},
		{"empty", func() []byte { return nil }},
	}
	for _, test := range tests {
		err := b.part.Append(t.Context(), test.block())
		if err == nil || errors.Is(err, eventlog.ErrFull) {
			t.Errorf("%s: got %v, want an error", test.name, err)
		}
		if err := b.part.Append(t.Context(), fresh().Block(1, 100)); !errors.Is(err, eventlog.ErrFailed) {
			t.Errorf("%s: append afterwards: got %v, want ErrFailed", test.name, err)
		}
		b.all(0)
		b.close()
		b.open()
		b.all(0)
	}
	b.append(1, 100)
	b.all(0)
}

// testConcurrent has readers follow one appender from the start.
func testConcurrent(t *testing.T, b *bench) {
	const blocks, readers = 300, 8
	made := make([][]byte, blocks)
	for i := range made {
		made[i] = b.Block(2, 200+i%5*30_000)
	}
	grown := make(chan struct{}, readers)
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			if err := follow(b.part, made, grown); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Go(func() {
		defer close(grown)
		for i, block := range made {
			if err := b.part.Append(t.Context(), block); err != nil {
				t.Errorf("append block %d: %v", i, err)
				return
			}
			for range readers {
				select {
				case grown <- struct{}{}:
				default:
				}
			}
		}
	})
	wg.Wait()
	b.stored = made
	b.all(0)
}

// follow reads until it has seen all blocks, and waits for grown at the end.
func follow(p eventlog.Partition, want [][]byte, grown <-chan struct{}) error {
	seq, open := uint64(1), true
	for i := 0; i < len(want); {
		s, err := p.Next(context.Background(), seq)
		if errors.Is(err, io.EOF) && open {
			_, open = <-grown
			continue
		}
		if err != nil {
			return fmt.Errorf("next %d: %w", seq, err)
		}
		got, err := Read(s)
		if err != nil {
			return err
		}
		if !bytes.Equal(got, want[i]) {
			return fmt.Errorf("block at %d differs", seq)
		}
		if st := p.State(); st.Last.Last() < s.Header.Last() {
			return fmt.Errorf("state ends at %d, before block %d", st.Last.Last(), s.Header.First)
		}
		if again, err := p.Since(context.Background(), s.Header.Accepted); err != nil || again.Header != s.Header {
			return fmt.Errorf("since the time of block %d: got block %d, %w", s.Header.First, again.Header.First, err)
		}
		i, seq = i+1, s.Header.Last()+1
	}
	return nil
}

func testFull(t *testing.T, b *bench) {
	if b.SetFull == nil {
		t.Log("the engine has no limit of its own")
		return
	}
	for range 5 {
		b.append(3, 300_000)
	}
	b.SetFull(true)
	var block []byte
	stored := 0
	for ; ; stored++ { // what was allocated may still be used
		if stored == 1000 {
			t.Fatal("1000 blocks stored without space")
		}
		block = b.Block(3, 300_000)
		err := b.part.Append(t.Context(), block)
		if errors.Is(err, eventlog.ErrFull) {
			break
		}
		if err != nil {
			t.Fatalf("append: got %v, want ErrFull", err)
		}
		b.stored = append(b.stored, block)
	}
	for range 3 {
		if err := b.part.Append(t.Context(), block); !errors.Is(err, eventlog.ErrFull) {
			t.Errorf("append: got %v, want ErrFull", err)
		}
		b.all(0)
	}
	b.SetFull(false)
	if err := b.part.Append(t.Context(), block); err != nil {
		t.Fatalf("append when there is space again: %v", err)
	}
	b.stored = append(b.stored, block)
	for range 5 {
		b.append(3, 300_000)
	}
	b.all(0)
	b.close()
	b.open()
	b.all(0)
}

func testBroken(t *testing.T, b *bench) {
	if b.Break == nil {
		t.Log("the engine cannot be broken")
		return
	}
	b.append(3, 1000)
	b.Break()
	lost := b.Block(2, 1000)
	for range 3 {
		err := b.part.Append(t.Context(), lost)
		if !errors.Is(err, eventlog.ErrFailed) || errors.Is(err, eventlog.ErrFull) {
			t.Errorf("append: got %v, want ErrFailed", err)
		}
	}
	b.next(1, b.stored[0])
	b.close()
	b.open()
	st := b.part.State()
	if last := st.Last.Last(); last == 5 {
		b.stored = append(b.stored, lost) // it may have been stored
	} else if last != 3 {
		t.Fatalf("state: got %d as the last number, want 3 or 5", last)
	}
	b.Maker.Next = max(b.Maker.Next, st.Reserved+1)
	b.append(1, 1000)
	seq := uint64(1)
	for _, want := range b.stored {
		h := b.next(seq, want)
		seq = h.Last() + 1
	}
	b.end(seq)
}

func testClosed(t *testing.T, b *bench) {
	b.append(1, 1000)
	b.close()
	if err := b.part.Append(t.Context(), b.Block(1, 10)); !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("append: got %v, want ErrClosed", err)
	}
	if _, err := b.part.Next(t.Context(), 1); !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("next: got %v, want ErrClosed", err)
	}
	if _, err := b.part.Since(t.Context(), Start()); !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("since: got %v, want ErrClosed", err)
	}
	if err := b.part.Trim(t.Context(), 1); !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("trim: got %v, want ErrClosed", err)
	}
	if _, err := b.engine.Open(t.Context(), "git"); !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("open: got %v, want ErrClosed", err)
	}
	if _, err := b.engine.Partitions(t.Context()); !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("partitions: got %v, want ErrClosed", err)
	}
	if err := errors.Join(b.part.Close(), b.engine.Close()); err != nil {
		t.Errorf("close again: %v", err)
	}
	b.open()
	b.all(0)
}
