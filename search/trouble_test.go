package search

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/index"
)

// sickDisk is a log's engine whose blocks, but for their directories, cannot be read
// while fault is set.
type sickDisk struct {
	eventlog.Engine
	fault atomic.Pointer[error]
}

type sickPartition struct {
	eventlog.Partition
	disk *sickDisk
}

type sickBlock struct {
	io.ReaderAt
	disk *sickDisk
}

func (d *sickDisk) Open(ctx context.Context, name string) (eventlog.Partition, error) {
	p, err := d.Engine.Open(ctx, name)
	return &sickPartition{p, d}, err
}

func (p *sickPartition) Next(ctx context.Context, seq uint64) (eventlog.Stored, error) {
	s, err := p.Partition.Next(ctx, seq)
	s.ReaderAt = &sickBlock{s.ReaderAt, p.disk}
	return s, err
}

func (b *sickBlock) ReadAt(buf []byte, at int64) (int, error) {
	if err := b.disk.fault.Load(); err != nil && at != eventlog.HeaderSize {
		return 0, *err
	}
	return b.ReaderAt.ReadAt(buf, at)
}

// withSickDisk starts the log and the service again on a disk that is well still.
// The log keeps nothing in memory that it can do without.
func (w *world) withSickDisk() *sickDisk {
	w.t.Helper()
	w.stopSearch()
	w.stopLog()
	w.stored = w.stored.Restart(eventlog.MemoryOptions{Log: logID()})
	d := &sickDisk{Engine: w.stored}
	var err error
	if w.log, err = eventlog.Open(context.Background(), d, eventlog.Options{ID: logID(), CacheBytes: 1}); err != nil {
		w.t.Fatal(err)
	}
	stop := background(w.t, w.log.Run)
	w.stopLog = func() { stop(); _ = w.log.Close() }
	w.start()
	synctest.Wait()
	return d
}

// answers looks for a while at what the index answers and whether it says what is
// the matter.
func (w *world) answers(what string) {
	w.t.Helper()
	for range 90 {
		if _, err := w.Count(context.Background(), everything(), ByDay, ""); err != nil {
			w.t.Fatalf("%s: got %v, want an answer", what, err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
	}
}

// While the log cannot be read, what was indexed before is found.
func TestLogCannotBeRead(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.post(numbered("acme", "a", 35)...)
		d := w.withSickDisk()
		w.stopSearch()
		gate := make(chan struct{})
		w.cfg.Pace = func(context.Context) { <-gate }
		w.start()
		for i := range 5 {
			w.append(numbered("acme", fmt.Sprint("b", i, "-"), 6)...)
		}
		away := errors.New("the disk is away")
		d.fault.Store(&away)
		close(gate)
		synctest.Wait()
		w.answers("while the log cannot be read")
		if st := w.Status(t.Context())[0]; st.Problem == "" || st.Lag == 0 {
			t.Errorf("while the log cannot be read: got status %+v, want a problem", st)
		}
		d.fault.Store(nil)
		time.Sleep(time.Minute)
		w.check("when it can be read again")
	})
}

// Events that a disk which is away has are not missing; those that it has lost are.
func TestEventsThatCannotBeRead(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.post(numbered("acme", "a", 9)...)
		w.post(numbered("acme", "b", 9)...)
		w.post(numbered("acme", "c", 9)...)
		d := w.withSickDisk()
		away, lost := errors.New("the disk is away"), fmt.Errorf("a sector: %w", eventlog.ErrDamaged)
		for name, q := range map[string]index.Query{"all": everything(), "some": phrase(t, index.Everything(), pushes())} {
			want := w.all(q, Oldest, 100)
			e := w.export(q, ExportOptions{})
			got := w.take(e, 1)
			d.fault.Store(&away)
			for err := error(nil); err == nil; {
				var x *ExportedEvent
				if x, err = e.Next(t.Context()); err == nil {
					got = append(got, string(x.ID))
				} else if !errors.Is(err, away) || e.Missing() != 0 {
					t.Errorf("%s, export: got error %v and %d missing, want %v", name, err, e.Missing(), away)
				}
			}
			if p, err := w.Page(t.Context(), q, PageOptions{}); !errors.Is(err, away) {
				t.Errorf("%s: got %d events, %d missing and error %v, want %v", name, len(p.Events), p.Missing, err, away)
			}
			d.fault.Store(nil)
			got = append(got, w.take(w.export(q, ExportOptions{After: e.Cursor()}), -1)...)
			wantSame(t, name+", begun again at the cursor", got, want)
			d.fault.Store(&lost)
			e = w.export(q, ExportOptions{})
			left := w.take(e, -1)
			if p := w.want(q, PageOptions{}); len(left)+e.Missing() != len(want) || len(p.Events)+p.Missing != len(want) || e.Missing() == 0 {
				t.Errorf("%s, with lost events: got %d exported and %d missing, a page of %d and %d missing, want %d", name, len(left), e.Missing(), len(p.Events), p.Missing, len(want))
			}
			d.fault.Store(nil)
		}
	})
}

// An index that has come to a damaged end of the log has got to its end: it lags no
// more, and pages and ids are not kept waiting for what will never be read.
func TestDamagedEndOfTheLog(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		w.stopSearch()
		w.cfg.ChunkEvents = 1000 // no chunk
		w.start()
		for i := range 5 {
			w.post(event{"acme", "user.login", fmt.Sprint("e", i)})
		}
		first := w.want(everything(), PageOptions{Limit: 1})
		w.stopSearch()
		w.stopLog()
		w.stored = w.stored.Restart(eventlog.MemoryOptions{Log: logID()})
		w.openLog(nil)
		for seq := uint64(4); seq <= 5; seq++ {
			o, err := w.log.Outline(t.Context(), "audit", seq)
			if err != nil || !w.stored.Corrupt("audit", seq, o.Size()-3) {
				t.Fatalf("nothing is damaged: %v", err)
			}
		}
		w.start()
		synctest.Wait()
		time.Sleep(time.Hour)
		if st := w.Status(t.Context())[0]; st.Indexed != 3 || st.Lag != 0 || w.Lag(t.Context()) != 0 {
			t.Errorf("got status %+v and %s behind, want no lag", st, w.Lag(t.Context()))
		}
		wantSame(t, "behind a cursor", idsOf(w.want(everything(), PageOptions{After: first.Next})), []string{"e2", "e1", "e0"})
		if _, err := w.Export(t.Context(), everything(), ExportOptions{AfterID: "e4"}); !isInvalid(err) {
			t.Errorf("behind the id of what cannot be read: got %v, want invalid", err)
		}
		w.post(event{"acme", "user.login", "next"})
		wantSame(t, "with another event", idsOf(w.want(everything(), PageOptions{})), []string{"next", "e2", "e1", "e0"})
	})
}

// A full disk keeps neither expired chunks from being unseen, nor others from being
// found; they are removed when there is space.
func TestFullDiskAtExpiry(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		f := w.withFaults()
		for i := range 6 {
			w.post(numbered("acme", fmt.Sprint(i, "-"), 20)...)
			time.Sleep(time.Second)
		}
		w.check("before")
		chunks := w.Status(t.Context())[0].Chunks
		full := func() error { return index.ErrFull }
		f.onDrop.Store(&full)
		for seq := range uint64(40) { // the log's oldest blocks go
			w.stored.Lose("audit", seq+1)
		}
		w.answers("on a full disk")
		if got := w.Status(t.Context())[0].Chunks; got >= chunks {
			t.Errorf("on a full disk: got %d chunks that answer, want fewer than %d", got, chunks)
		}
		f.onDrop.Store(nil)
		time.Sleep(2 * time.Minute)
		w.stopSearch()
		p, err := f.Engine.Open(t.Context(), "audit")
		if err != nil {
			t.Fatal(err)
		}
		if infos, err := p.Chunks(t.Context()); err != nil || len(infos) >= chunks {
			t.Errorf("with space again: got %d chunks and error %v, want fewer than %d", len(infos), err, chunks)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		w.start()
	})
}

// A damaged index answers with what is sound while there is no space for another,
// and one that is complete waits for space, too.
func TestFullDiskAtRepair(t *testing.T) {
	simulate(t, func(t *testing.T, w *world) {
		f := w.withFaults()
		for i := range 6 {
			w.post(numbered("acme", fmt.Sprint(i, "-"), 30)...)
		}
		w.cfg.CacheBytes = 1 // nothing is kept
		w.stopSearch()
		w.start()
		w.check("before")
		full, bad := func() error { return index.ErrFull }, func() error { return index.ErrDamaged }
		f.onRenew.Store(&full)
		f.onAdopt.Store(&full)
		f.onPage.Store(&bad)
		w.answers("without space for another index")
		f.onRenew.Store(nil)
		w.answers("while another is made")
		f.onPage.Store(nil)
		w.answers("without space for the last step")
		made := f.renewed.Load()
		if st := w.Status(t.Context())[0]; st.State != StateRebuilding || made == 0 {
			t.Errorf("without space for the last step: got %d indexes made and status %+v, want one that waits", made, st)
		}
		f.onAdopt.Store(nil)
		time.Sleep(2 * time.Minute)
		w.check("with space again")
		if got := f.renewed.Load(); got != made {
			t.Errorf("got %d indexes made, want the %d from before", got, made)
		}
	})
}

// Whoever goes from page to page, and asks again for what is refused or incomplete,
// gets each event once, whatever starts, fails and arrives meanwhile.
func TestPagesThroughTrouble(t *testing.T) {
	for seed := range uint64(40) {
		simulate(t, func(t *testing.T, w *world) {
			rnd := rand.New(rand.NewPCG(seed, 7))
			f := w.withFaults()
			d := w.withSickDisk()
			for i := range 20 {
				w.post(numbered("acme", fmt.Sprint(i, "-"), 1+rnd.IntN(9))...)
				time.Sleep(time.Duration(rnd.IntN(2)) * time.Second)
			}
			want := slices.Sorted(slices.Values(w.inLog(nil))) // partitions that are late get out of step
			o := PageOptions{Order: Order(rnd.IntN(2)), Limit: 1 + rnd.IntN(9)}
			p := w.want(everything(), o)
			got := idsOf(p) // without what comes late
			for turn := 0; p.More || len(got) < len(want); turn++ {
				w.trouble(rnd, f, d, turn < 300)
				o.After = p.Next
				next, err := w.Page(t.Context(), everything(), o)
				if turn > 1000 || next.Missing > 0 {
					t.Fatalf("seed %d, turn %d: got %d of %d events, %d missing, error %v", seed, turn, len(got), len(want), p.Missing, err)
				}
				if err == nil && !next.Incomplete {
					p, got = next, append(got, slices.DeleteFunc(idsOf(next), func(id string) bool { return strings.HasPrefix(id, "late") })...)
				}
			}
			slices.Sort(got)
			wantSame(t, fmt.Sprint("seed ", seed), got, want)
			w.trouble(rnd, f, d, false)
			time.Sleep(5 * time.Minute)
			w.check(fmt.Sprint("seed ", seed, " in the end"))
		})
	}
}

// Whoever exports, and begins again at the cursor of an export that was cut off, gets
// each event once and in order, too.
func TestExportsThroughTrouble(t *testing.T) {
	for seed := range uint64(40) {
		simulate(t, func(t *testing.T, w *world) {
			rnd := rand.New(rand.NewPCG(seed, 8))
			f := w.withFaults()
			d := w.withSickDisk()
			for i := range 20 {
				w.post(numbered("acme", fmt.Sprint(i, "-"), 1+rnd.IntN(9))...)
				time.Sleep(time.Duration(rnd.IntN(2)) * time.Second)
			}
			match := func(e event) bool { return e.typ == "git.push" && !strings.HasPrefix(e.id, "late") }
			q, want := phrase(t, index.Everything(), pushes()), w.inLog(match)
			got, o := []string{}, ExportOptions{}
			for turn := 0; len(got) < len(want); turn++ {
				w.trouble(rnd, f, d, turn < 300)
				e, err := w.Export(t.Context(), q, o)
				if err != nil {
					continue
				}
				for range 1 + rnd.IntN(9) {
					w.trouble(rnd, f, d, turn < 300)
					x, err := e.Next(t.Context())
					if err != nil {
						break
					}
					if id := string(x.ID); !strings.HasPrefix(id, "late") {
						got = append(got, id)
					}
				}
				if o.After = e.Cursor(); e.Missing() > 0 || turn > 1000 {
					t.Fatalf("seed %d, turn %d: got %d of %d events, %d missing", seed, turn, len(got), len(want), e.Missing())
				}
			}
			wantSame(t, fmt.Sprint("seed ", seed), got, want)
		})
	}
}

// trouble makes something fail or well again, at random, or everything well.
func (w *world) trouble(rnd *rand.Rand, f *faulty, d *sickDisk, more bool) {
	errs := []error{index.ErrFull, index.ErrDamaged, errors.New("input/output error")}
	calls := []*atomic.Pointer[func() error]{&f.onAppend, &f.onPage, &f.onDrop, &f.onRenew, &f.onAdopt}
	if !more {
		for _, c := range calls {
			c.Store(nil)
		}
		d.fault.Store(nil)
		time.Sleep(time.Minute)
		return
	}
	switch at := rnd.IntN(12); {
	case at < 2:
		w.stopSearch()
		w.start()
	case at < 5:
		fails := func() error { return errs[rnd.IntN(len(errs))] }
		err := fails()
		fails = func() error { return err }
		calls[rnd.IntN(len(calls))].Store(&fails)
	case at < 8:
		calls[rnd.IntN(len(calls))].Store(nil)
	case at == 8:
		away := errs[2]
		d.fault.Store(&away)
	case at == 9:
		d.fault.Store(nil)
	case at == 10:
		w.append(numbered("acme", fmt.Sprint("late", rnd.Uint32()), 1+rnd.IntN(12))...)
	default:
		time.Sleep(time.Duration(rnd.IntN(8)) * time.Second)
	}
}
