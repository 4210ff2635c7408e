package eventlog

import (
	"cmp"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
)

// event is an event of a test; its payload follows from its fields.
type event struct {
	ns, typ, id, body, source string
	at                        time.Time
}

func (e event) payload() []byte {
	return fmt.Appendf(nil, `{"id":"%s","entity_path":"%s","event_type":"%s","body":"%s"}`, e.id, e.ns, cmp.Or(e.typ, "user.login"), e.body)
}

func (e event) add(b *Batch) {
	typ, source := cmp.Or(e.typ, "user.login"), cmp.Or(e.source, "token-1")
	b.Add(e.payload(), &sluice.Envelope{
		ID: []byte(e.id), IDOffset: len(`{"id":"`), Time: e.at, Type: []byte(typ), Namespace: []byte(e.ns),
		Class: sluice.ClassOf(typ),
	}, source)
}

func batchOf(events ...event) *Batch {
	b := &Batch{}
	for _, e := range events {
		e.add(b)
	}
	return b
}

// numbered returns n events of a namespace whose ids start with prefix.
func numbered(ns, prefix string, n int) []event {
	events := make([]event, n)
	for i := range events {
		events[i] = event{ns: ns, id: fmt.Sprint(prefix, i)}
	}
	return events
}

func testID() LogID { return LogID{1, 2, 3} }

const part = "audit"

// rig is a log over a memory engine that runs.
type rig struct {
	*Log
	t    testing.TB
	mem  *Memory
	opts Options
	stop func() error
}

func memory(opts MemoryOptions) *Memory {
	opts.Log = testID()
	return NewMemory(opts)
}

// start opens a log and runs it until stop or the end of the test.
func start(t testing.TB, m *Memory, opts Options) *rig {
	t.Helper()
	opts.ID = testID()
	if opts.Partitions == nil {
		opts.Partitions = []string{part}
	}
	l, err := Open(t.Context(), m, opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	r := &rig{Log: l, t: t, mem: m, opts: opts}
	ended := false
	r.stop = func() error {
		if ended {
			return nil
		}
		ended = true
		cancel()
		err := <-done
		if cerr := l.Close(); err == nil {
			err = cerr
		}
		return err
	}
	t.Cleanup(func() { _ = r.stop() })
	return r
}

// reopen ends the log and opens what it stored again.
func (r *rig) reopen() *rig {
	r.t.Helper()
	if err := r.stop(); err != nil {
		r.t.Fatal(err)
	}
	return start(r.t, r.mem.Restart(MemoryOptions{Log: testID()}), r.opts)
}

// try appends events in one request.
func (r *rig) try(events ...event) (Appended, error) {
	got, err := r.Append(context.Background(), map[string]*Batch{part: batchOf(events...)})
	return got[part], err
}

// append appends events in one request, which has to succeed.
func (r *rig) append(events ...event) Appended {
	r.t.Helper()
	got, err := r.try(events...)
	if err != nil {
		r.t.Fatal(err)
	}
	return got
}

// all reads every event from seq on and checks that numbers follow one another.
func (r *rig) all(seq uint64) []string {
	r.t.Helper()
	var out []string
	for seq <= r.Stored(part) {
		b, err := r.Block(context.Background(), part, seq)
		if err != nil {
			r.t.Fatal(err)
		}
		if b.First != seq {
			r.t.Fatalf("block: got first number %d, want %d", b.First, seq)
		}
		for i := range b.Entries {
			p, err := b.Payload(i)
			if err != nil {
				r.t.Fatal(err)
			}
			out = append(out, string(p))
		}
		seq = b.Last() + 1
	}
	return out
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
