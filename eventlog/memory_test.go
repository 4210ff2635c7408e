package eventlog_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/eventlog/eventlogtest"
)

func TestMemory(t *testing.T) {
	eventlogtest.Test(t, func(*testing.T) eventlogtest.Harness {
		var broken bool
		opts := eventlog.MemoryOptions{Log: eventlog.LogID{1, 2}, Before: func(string, []byte) error {
			defer func() { broken = false }()
			if broken {
				return errors.New("broken")
			}
			return nil
		}}
		m := eventlog.NewMemory(opts)
		return eventlogtest.Harness{
			Log: opts.Log,
			Open: func() (eventlog.Engine, error) {
				m = m.Restart(opts)
				return m, nil
			},
			SetFull: func(full bool) {
				if full {
					m.SetCapacity(1)
				} else {
					m.SetCapacity(0)
				}
			},
			Break:  func() { broken = true },
			Damage: func(partition string, first uint64, offset int) { m.Corrupt(partition, first, offset) },
		}
	})
}

func openMemory(t *testing.T, m *eventlog.Memory) eventlog.Partition {
	t.Helper()
	p, err := m.Open(t.Context(), "audit")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestMemoryStoresButFails(t *testing.T) {
	opts := eventlog.MemoryOptions{After: func(string, []byte) error { return eventlog.ErrFull }}
	m := eventlog.NewMemory(opts)
	p := openMemory(t, m)
	maker := eventlogtest.Maker{Partition: "audit"}
	if err := p.Append(t.Context(), maker.Block(2, 100)); !errors.Is(err, eventlog.ErrFailed) || errors.Is(err, eventlog.ErrFull) {
		t.Errorf("append: got %v, want ErrFailed alone", err)
	}
	p = openMemory(t, m.Restart(eventlog.MemoryOptions{}))
	if st := p.State(); st.Last.Last() != 2 {
		t.Errorf("last after restart: got %d, want 2", st.Last.Last())
	}
}

// TestMemoryCloseWaits closes a partition while an append is delayed in simulated
// time.
func TestMemoryCloseWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := eventlog.NewMemory(eventlog.MemoryOptions{Before: func(string, []byte) error {
			<-time.After(time.Minute)
			return nil
		}})
		p := openMemory(t, m)
		maker := eventlogtest.Maker{Partition: "audit"}
		done := make(chan error, 1)
		go func() { done <- p.Append(t.Context(), maker.Block(1, 10)) }()
		synctest.Wait()
		start := time.Now()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if got, want := time.Since(start), time.Minute; got != want {
			t.Errorf("close: took %v, want %v", got, want)
		}
		if err := <-done; err != nil {
			t.Errorf("append: %v", err)
		}
	})
}

func TestMemoryDamage(t *testing.T) {
	m := eventlog.NewMemory(eventlog.MemoryOptions{})
	p := openMemory(t, m)
	maker := eventlogtest.Maker{Partition: "audit"}
	for range 4 {
		if err := p.Append(t.Context(), maker.Block(10, 100)); err != nil {
			t.Fatal(err)
		}
	}
	if !m.Lose("audit", 15) || !m.Lose("audit", 40) || m.Lose("audit", 15) || m.Lose("git", 1) {
		t.Error("lose: want the second and the last block lost, once")
	}
	if !m.Corrupt("audit", 25, 300) || m.Corrupt("audit", 25, 1<<20) {
		t.Error("corrupt: want the third block corrupted, within its bytes")
	}
	s, err := p.Next(t.Context(), 11)
	if err != nil || s.Header.First != 21 {
		t.Fatalf("next 11: got block %d, %v, want 21", s.Header.First, err)
	}
	if _, err := eventlogtest.Read(s); !errors.Is(err, eventlog.ErrDamaged) {
		t.Errorf("read: got %v, want ErrDamaged", err)
	}
	p = openMemory(t, m.Restart(eventlog.MemoryOptions{}))
	st := p.State()
	if st.Last.First != 21 || st.Reserved != 40 || len(st.Damage) != 2 {
		t.Errorf("state: got last block %d, reserved %d, damage %v, want 21, 40, two", st.Last.First, st.Reserved, st.Damage)
	}
	maker.Next = 40
	if err := p.Append(t.Context(), maker.Block(1, 10)); err == nil {
		t.Error("append: got no error for a reserved number")
	}
}
