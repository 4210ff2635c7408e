package eventlogtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/eventlog"
)

const (
	outlineBlocks = 4
	outlineEvents = 400 // of a block, of about a kilobyte each: four frames
)

// testOutlines reads single events of a log over the engine, and then with damage
// in one frame.
func testOutlines(t *testing.T, b *bench) {
	b.close()
	b.openEngine()
	b.throughLog(func(l *eventlog.Log) {
		for i := range outlineBlocks {
			if _, err := l.Append(context.Background(), map[string]*eventlog.Batch{partition: madeUp(i)}); err != nil {
				t.Fatal(err)
			}
		}
	})
	b.openEngine()
	var damaged *eventlog.Outline
	b.throughLog(func(l *eventlog.Log) {
		const all = outlineBlocks * outlineEvents
		for seq := uint64(1); seq <= all; seq++ {
			wantEvent(t, l, (seq*77)%all+1)
		}
		if _, err := l.Outline(t.Context(), partition, all+1); !errors.Is(err, io.EOF) {
			t.Errorf("outline behind the end: got %v, want io.EOF", err)
		}
		var err error
		if damaged, err = l.Outline(t.Context(), partition, outlineEvents+1); err != nil {
			t.Fatal(err)
		}
	})
	if b.Damage != nil {
		b.damageFrame(damaged)
	}
	b.open()
}

// openEngine is open without the partition.
func (b *bench) openEngine() {
	b.t.Helper()
	var err error
	if b.engine, err = b.Open(); err != nil {
		b.t.Fatalf("open engine: %v", err)
	}
}

// throughLog runs f with a log over the open engine, and closes both.
func (b *bench) throughLog(f func(l *eventlog.Log)) {
	b.t.Helper()
	l, err := eventlog.Open(context.Background(), b.engine, eventlog.Options{ID: b.Harness.Log, Partitions: []string{partition}})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	defer func() {
		cancel()
		if err := errors.Join(<-done, l.Close()); err != nil {
			b.t.Error(err)
		}
	}()
	f(l)
}

// madeUp returns the events of block i.
func madeUp(i int) *eventlog.Batch {
	batch := &eventlog.Batch{}
	for n := range outlineEvents {
		id := fmt.Sprintf("%d-%d", i, n)
		batch.Add(madeUpEvent(id), &sluice.Envelope{
			ID: []byte(id), IDOffset: len(`{"id":"`), Type: []byte("user.login"), Namespace: []byte("acme/web"), Class: sluice.Audit,
		}, "token-1")
	}
	return batch
}

func madeUpEvent(id string) []byte {
	return fmt.Appendf(nil, `{"id":"%s","event_type":"user.login","entity_path":"acme/web","body":"%s"}`, id, strings.Repeat(id+" ", 1000/(len(id)+1)))
}

// wantEvent compares the event with a number with what was appended, read alone
// and with its block.
func wantEvent(t *testing.T, l *eventlog.Log, seq uint64) {
	t.Helper()
	o, err := l.Outline(t.Context(), partition, seq)
	if err != nil {
		t.Fatalf("outline of %d: %v", seq, err)
	}
	got, err := o.Event(int(seq - o.First))
	if err != nil {
		t.Fatalf("event %d: %v", seq, err)
	}
	want := madeUpEvent(fmt.Sprintf("%d-%d", (seq-1)/outlineEvents, (seq-1)%outlineEvents))
	if !bytes.Equal(got, want) || got[:len(got)+1][len(got)] != '\n' {
		t.Fatalf("event %d: got %.80s, want %.80s with a newline behind it", seq, got, want)
	}
}

// damageFrame damages the second frame of a block, and has the events of all
// others read.
func (b *bench) damageFrame(o *eventlog.Outline) {
	t := b.t
	if len(o.Frames) < 3 {
		t.Fatalf("the block has %d frames, want more", len(o.Frames))
	}
	b.Damage(partition, o.First, eventlog.HeaderSize+int(o.DirLen)+int(o.Frames[0].Stored)+1)
	low := o.First + uint64(o.Frames[0].Events)
	high := low + uint64(o.Frames[1].Events) - 1
	b.openEngine()
	b.throughLog(func(l *eventlog.Log) {
		for seq := uint64(1); seq <= outlineBlocks*outlineEvents; seq++ {
			if seq < low || seq > high {
				wantEvent(t, l, seq)
				continue
			}
			o, err := l.Outline(t.Context(), partition, seq)
			if err != nil {
				t.Fatal(err)
			}
			_, err = o.Event(int(seq - o.First))
			if want := fmt.Sprintf("events %d to %d of partition audit", low, high); !errors.Is(err, eventlog.ErrDamaged) || !strings.Contains(err.Error(), want) {
				t.Fatalf("event %d: got %v, want ErrDamaged with %q", seq, err, want)
			}
		}
		whole, err := l.Block(t.Context(), partition, o.First)
		if err != nil || whole.First != o.Last()+1 {
			t.Errorf("the damaged block as a whole: got %v and error %v, want the next one", whole, err)
		}
	})
}
