package index

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// Every form of list gives back what was put in.
func TestLists(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	forms := map[int]int{}
	for _, n := range []int{1, 7, 64, 1000, 5001, ChunkEvents} {
		for _, density := range []float64{0.00001, 0.001, 0.02, 0.3, 0.9, 1} {
			var l lists
			term := slot{number: l.begin() + 1}
			want := newBitset(n)
			for pos := range n {
				if pos == n/2 || r.Float64() < density || pos%5000 < 40 {
					l.add(&term, uint32(pos))
					l.add(&term, uint32(pos)) // once is enough
					want.add(pos)
				}
			}
			deltas := l.deltas(&term, nil)
			list, form := appendList(nil, deltas, gaps(deltas), n)
			forms[form]++
			got := newBitset(n)
			if err := orList(got, form, gaps(deltas), list); err != nil {
				t.Errorf("%d events, density %v, form %d: %v", n, density, form, err)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) || gaps(deltas) != want.count() {
				t.Errorf("%d events, density %v, form %d: another list", n, density, form)
			}
			for _, end := range []int{n, n/2 + 1} {
				some := newBitset(end)
				for pos := range end {
					if r.IntN(3) == 0 {
						some.add(pos)
					}
				}
				if got, err := countList(some, newBitset(n), form, gaps(deltas), list); err != nil || got != want.countBoth(some) {
					t.Errorf("%d events, density %v, form %d: counted %d, %v, want %d", n, density, form, got, err, want.countBoth(some))
				}
			}
		}
	}
	if len(forms) != listForms {
		t.Errorf("forms that occurred: got %v, want all %d", forms, listForms)
	}
}

func FuzzList(f *testing.F) {
	f.Add(uint8(listRice), uint16(100), uint16(3), []byte{1, 2, 3})
	f.Add(uint8(listRuns), uint16(100), uint16(3), []byte{1, 2, 3, 4})
	f.Add(uint8(listBits), uint16(12), uint16(3), []byte{1, 2})
	f.Add(uint8(listDeltas), uint16(100), uint16(3), []byte{1, 0x80, 1})
	f.Fuzz(func(t *testing.T, form uint8, n, events uint16, list []byte) {
		set := newBitset(int(n) + 1)
		err := orList(set, int(form%listForms), max(1, int(events)), list)
		if last := set.last(1 << 30); last > int(n) {
			t.Errorf("position %d of %d", last, n)
		}
		got, again := countList(set, newBitset(set.n), int(form%listForms), max(1, int(events)), list)
		if (again == nil) != (err == nil) || err == nil && got != set.count() {
			t.Errorf("counted %d, %v, want %d, %v", got, again, set.count(), err)
		}
	})
}

// pagesOf is a partition of one chunk whose pages were tampered with.
type pagesOf struct {
	Partition
	sealed *Sealed
}

func (p *pagesOf) Page(_ context.Context, _ uint64, page int) ([]byte, error) {
	if page >= len(p.sealed.Pages) {
		return nil, ErrDamaged
	}
	return p.sealed.Pages[page], nil
}

// fuzzHead has a few hundred events with every kind of page.
func fuzzHead() *Head {
	h := NewHead()
	for i := range 300 {
		h.Add(&Event{Seq: uint64(10 + 2*i), Accepted: int64(i/7) * 1000, Time: int64(i*i%977) * 3_600_000_000, Type: fmt.Sprintf("t.%d", i%9),
			Namespace: "acme/web", ID: fmt.Append(nil, i), Payload: fmt.Appendf(nil, `{"user":"u%d","note":"w%d x"}`, i%50, i)})
	}
	return h
}

// Pages with right checksums and any contents lead to an answer or an error.
func FuzzChunk(f *testing.F) {
	sealed := fuzzHead().Seal()
	for page := range sealed.Pages {
		raw, err := unpack(sealed.Info.First, page, sealed.Pages[page])
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(page), raw)
	}
	f.Fuzz(func(t *testing.T, page uint8, raw []byte) {
		bad := &Sealed{Info: sealed.Info, Pages: append([][]byte(nil), sealed.Pages...)}
		at := int(page) % len(bad.Pages)
		bad.Pages[at] = pack(sealed.Info.First, at, raw, false)
		c := NewChunk(&pagesOf{sealed: bad}, bad.Info, NewCache(1<<20))
		for _, clause := range []Clause{
			{Terms: []Term{NewTerm(FieldUser, "u7"), NewTerm(FieldWord, "x")}},
			{IDs: []string{"17"}},
			{Ranges: []Range{{From: time.UnixMilli(5_000_000), To: time.UnixMilli(500_000_000)}}},
		} {
			r, err := c.Find(t.Context(), &Query{Scope: Everything(), Clauses: []Clause{clause}, Accepted: Range{From: time.UnixMicro(5000)}})
			if err != nil {
				continue
			}
			for hit, err := range r.Newest(t.Context(), 1000) {
				if err != nil || hit.Seq == 0 {
					break
				}
			}
			_ = r.Days(t.Context(), func(int64, int) {})
			_ = r.Types(t.Context(), func(string, int) {})
		}
	})
}

// A root that names more than there is must not make the reader take memory for it.
func TestCountsAreBounded(t *testing.T) {
	s := scan{b: binary.AppendUvarint(nil, 1<<40)}
	if n := s.count(3); n != 0 || !s.bad {
		t.Errorf("count of 2^40 things in no bytes: got %d", n)
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := NewCache(10_000)
	for i := range 100 {
		c.put(cacheKey{first: uint64(i)}, i, 1000)
		if _, ok := c.get(cacheKey{first: 0}); !ok {
			t.Fatalf("page 0, used last, is gone after %d", i)
		}
	}
	if len(c.entries) != 8 || c.size > 10_000 {
		t.Errorf("entries: got %d in %d bytes, want 8", len(c.entries), c.size)
	}
	c.Forget(nil)
	if len(c.entries) != 0 || c.size != 0 {
		t.Errorf("entries after Forget: got %d in %d bytes", len(c.entries), c.size)
	}
}

// Each shape of what is said of sizes: a head that is full by memory.
func TestHeadIsFull(t *testing.T) {
	h := NewHead()
	n := 0
	for !h.Full() {
		payload := []byte(`{"org":[""`)
		for i := range 60 {
			payload = fmt.Appendf(payload, `,"%0250d"`, n*60+i)
		}
		h.Add(&Event{Seq: uint64(n + 1), Payload: append(payload, "]}"...)})
		n++
	}
	if size := h.Size(); n >= ChunkEvents/8 || size > MaxHead+2<<20 || size < MaxHead-8<<20 {
		t.Errorf("a head of large terms is full with %d events and %d bytes", n, h.Size())
	}
}
