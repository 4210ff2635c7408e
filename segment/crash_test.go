package segment_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/eventlog/eventlogtest"
	"github.com/sluicelog/sluice/segment"
	"github.com/sluicelog/sluice/segment/segmenttest"
)

// history is what was appended to a partition, from outside.
type history struct {
	eventlogtest.Maker
	blocks map[uint64][]byte // by first number, everything that was tried
	acked  []uint64          // first numbers of what was acknowledged, in order
	trim   uint64            // what is below may be gone
}

func newHistory() *history {
	return &history{Maker: eventlogtest.Maker{Log: logID(), Partition: "audit"}, blocks: map[uint64][]byte{}}
}

func (h *history) append(p eventlog.Partition, size int) error {
	block := h.Block(3, size)
	header, err := eventlog.ParseHeader(block)
	if err != nil {
		return err
	}
	h.blocks[header.First] = block
	if err := p.Append(context.Background(), block); err != nil {
		return err
	}
	h.acked = append(h.acked, header.First)
	return nil
}

// work fills three files, trims the oldest and closes, or stops at an error.
func (h *history) work(disk *segmenttest.Disk) error {
	e, p, err := openLog(disk)
	if err != nil {
		return err
	}
	defer func() { _ = e.Close() }() // the disk may be off
	for i := range 15 {
		if err := h.append(p, 5_000+i%3*7_000); err != nil {
			return err
		}
		if i == 13 {
			h.trim = 18
			if err := p.Trim(context.Background(), h.trim); err != nil {
				return err
			}
		}
	}
	return nil
}

func openLog(disk *segmenttest.Disk) (*segment.Engine, eventlog.Partition, error) {
	e, err := segment.Open("log", segment.Options{SegmentSize: segment.MinSegmentSize, Log: logID(), FS: disk})
	if err != nil {
		return nil, nil, err
	}
	p, err := e.Open(context.Background(), "audit")
	if err != nil {
		return nil, nil, errors.Join(err, e.Close())
	}
	return e, p, nil
}

// readAll returns the first numbers of all blocks, in order, and an error if one
// differs from what was appended.
func (h *history) readAll(p eventlog.Partition) (map[uint64]bool, error) {
	seen := map[uint64]bool{}
	for seq := uint64(1); ; {
		s, err := p.Next(context.Background(), seq)
		if errors.Is(err, io.EOF) {
			return seen, nil
		}
		if err != nil {
			return nil, err
		}
		got, err := eventlogtest.Read(s)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(got, h.blocks[s.Header.First]) {
			return nil, fmt.Errorf("block %d is not what was appended", s.Header.First)
		}
		seen[s.Header.First] = true
		seq = s.Header.Last() + 1
	}
}

// verify opens what is left and returns an error if anything acknowledged is
// missing, if damage is named that costs something acknowledged, or if the log
// does not go on.
func (h *history) verify(disk *segmenttest.Disk) error {
	for round := range 2 {
		e, p, err := openLog(disk)
		if err != nil {
			return fmt.Errorf("open, round %d: %w", round, err)
		}
		if err := h.check(p); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
		st := p.State()
		h.Maker.Next = max(h.Maker.Next, st.Last.Last()+1, st.Reserved+1)
		for range 2 {
			if err := h.append(p, 15_000); err != nil {
				return fmt.Errorf("append, round %d: %w", round, err)
			}
		}
		if err := errors.Join(h.check(p), e.Close()); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
	}
	return nil
}

func (h *history) check(p eventlog.Partition) error {
	seen, err := h.readAll(p)
	if err != nil {
		return err
	}
	for _, first := range h.acked {
		if !seen[first] && first+2 >= h.trim {
			return fmt.Errorf("acknowledged block %d is lost", first)
		}
	}
	for _, d := range p.State().Damage {
		for _, first := range h.acked {
			if first >= d.First && first <= d.Last && first+2 >= h.trim {
				return fmt.Errorf("damage names acknowledged block %d: %v", first, d)
			}
		}
	}
	return nil
}

// cutEverywhere stops the work after each operation in turn and returns the first
// violation. Prepare may change the disk.
func cutEverywhere(how segmenttest.Crash, prepare func(*segmenttest.Disk)) error {
	whole := segmenttest.NewDisk(1)
	prepare(whole)
	if err := newHistory().work(whole); err != nil {
		return fmt.Errorf("undisturbed: %w", err)
	}
	for n := range whole.Ops() + 1 {
		disk := segmenttest.NewDisk(uint64(n))
		prepare(disk)
		disk.StopAfter(n)
		h := newHistory()
		if err := h.work(disk); err != nil && !errors.Is(err, segmenttest.ErrOff) {
			return fmt.Errorf("stopped after %d operations: %w", n, err)
		}
		if err := h.verify(disk.Restart(how)); err != nil {
			return fmt.Errorf("stopped after %d operations: %w", n, err)
		}
	}
	return nil
}

func TestKillEverywhere(t *testing.T) {
	t.Parallel()
	if err := cutEverywhere(segmenttest.Kill, func(*segmenttest.Disk) {}); err != nil {
		t.Error(err)
	}
}

func TestPowerCutEverywhere(t *testing.T) {
	t.Parallel()
	for name, how := range map[string]segmenttest.Crash{"lose": segmenttest.Lose, "tear": segmenttest.Tear} {
		t.Run(name, func(t *testing.T) {
			if err := cutEverywhere(how, func(*segmenttest.Disk) {}); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestPowerCutNeedsSync shows that the tests above notice when a sync is left out.
func TestPowerCutNeedsSync(t *testing.T) {
	for _, op := range []segmenttest.Op{segmenttest.Sync, segmenttest.SyncDir} {
		t.Run(string(op), func(t *testing.T) {
			err := cutEverywhere(segmenttest.Lose, func(d *segmenttest.Disk) { d.Ignore(op) })
			if err == nil {
				t.Error("got no violation without the sync")
			}
		})
	}
}

// TestPowerCutAfterKill cuts the power after a process was killed and the next
// one has read what the first had not synced.
func TestPowerCutAfterKill(t *testing.T) {
	disk := segmenttest.NewDisk(1)
	h := newHistory()
	_, p, err := openLog(disk)
	if err != nil {
		t.Fatal(err)
	}
	disk.SetFault(func(op segmenttest.Op, _ string) error {
		if op == segmenttest.Sync {
			return errors.New("killed before the sync")
		}
		return nil
	})
	if err := h.append(p, 1000); !errors.Is(err, eventlog.ErrFailed) {
		t.Fatalf("append: got %v, want ErrFailed", err)
	}
	disk.SetFault(nil)
	next := disk.Restart(segmenttest.Kill)
	_, p, err = openLog(next)
	if err != nil {
		t.Fatal(err)
	}
	if st := p.State(); st.Last.First != 1 {
		t.Fatalf("last block after the kill: got %d, want 1", st.Last.First)
	}
	h.acked = append(h.acked, 1) // it was read, so it has to stay
	if err := h.verify(next.Restart(segmenttest.Lose)); err != nil {
		t.Error(err)
	}
}

// TestFailedFlushes makes each write and sync fail in turn: nothing is appended
// after it, and everything acknowledged is there at the next start.
func TestFailedFlushes(t *testing.T) {
	t.Parallel()
	whole := segmenttest.NewDisk(1)
	if err := newHistory().work(whole); err != nil {
		t.Fatal(err)
	}
	for n := range whole.Ops() {
		disk := segmenttest.NewDisk(1)
		var failed segmenttest.Op
		count := 0
		disk.SetFault(func(op segmenttest.Op, _ string) error {
			if count++; count != n+1 {
				return nil
			}
			failed = op
			return errors.New("bad disk")
		})
		h := newHistory()
		err := h.work(disk)
		// Only a footer may fail to be written without anybody noticing.
		footer := failed == segmenttest.Truncate || failed == segmenttest.Write || failed == segmenttest.Sync
		if err == nil && !footer {
			t.Fatalf("operation %d, %s, failed: got no error", n, failed)
		}
		disk.SetFault(nil)
		if err := h.verify(disk.Restart(segmenttest.Lose)); err != nil {
			t.Errorf("operation %d, %s, failed: %v", n, failed, err)
		}
	}
}

// TestTrimLeavesNoHole cuts the power while several files are removed: what is
// left has no hole that would look like damage.
func TestTrimLeavesNoHole(t *testing.T) {
	for seed := range uint64(30) {
		disk := segmenttest.NewDisk(seed)
		h := newHistory()
		_, p, err := openLog(disk)
		if err != nil {
			t.Fatal(err)
		}
		for range 24 {
			if err := h.append(p, 15_000); err != nil {
				t.Fatal(err)
			}
		}
		disk.StopAfter(disk.Ops() + int(seed)%12)
		h.trim = 60
		if err := p.Trim(t.Context(), h.trim); err != nil && !errors.Is(err, segmenttest.ErrOff) {
			t.Fatal(err)
		}
		left := disk.Restart(segmenttest.Tear)
		_, p, err = openLog(left)
		if err != nil {
			t.Fatal(err)
		}
		if st := p.State(); len(st.Damage) > 0 {
			t.Errorf("seed %d: got damage %v, want none", seed, st.Damage)
		}
		if err := h.check(p); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}
