package control

import (
	"fmt"
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"unique"

	"github.com/sluicelog/sluice"
)

// What is not stored yet, and the round that takes it, hold each event where it
// belongs.
func TestFreshCountsHoldAll(t *testing.T) {
	f, want := newFresh(), map[hourOf]map[[2]string]uint64{}
	r := rand.New(rand.NewPCG(1, 2))
	tops := []string{sluice.Instance, "acme", "acm", "acme2", "b"}
	for range 20_000 {
		h := hourOf{r.Int64N(3), tops[r.IntN(len(tops))]}
		path, name, n := "", fmt.Sprint("type", r.IntN(5)), r.Uint64N(9)+1
		if h.top != sluice.Instance && r.IntN(3) > 0 {
			path = fmt.Sprint("/p", r.IntN(6))
		}
		f.add(h.hour, h.top+path, len(h.top), unique.Make(name), n)
		if want[h] == nil {
			want[h] = map[[2]string]uint64{}
		}
		want[h][[2]string{path, name}] += n
	}
	for h := range want {
		if got := cells(f.tallies(h.top)[h.hour]); !maps.Equal(got, want[h]) {
			t.Errorf("%v: got %v, want %v", h, got, want[h])
		}
	}
	round := f.round(7)
	for h := range want {
		if got := cells(round.tally(h)); !maps.Equal(got, want[h]) {
			t.Errorf("round, %v: got %v, want %v", h, got, want[h])
		}
	}
	if len(round.left) != len(want) || round.tally(hourOf{1, "acme3"}) != nil || f.tallies("acme3") != nil {
		t.Errorf("got %d groups, want %d, and nothing of a namespace without events", len(round.left), len(want))
	}
}

func cells(t *tally) map[[2]string]uint64 {
	out := map[[2]string]uint64{}
	for _, r := range t.rows {
		for _, c := range r.cells {
			out[[2]string{r.path, c.name.Value()}] += c.n
		}
	}
	return out
}

// Namespaces and types without end, and long ones, are summed once they are many,
// and what was there before goes on by itself.
func TestFreshCountsAreBounded(t *testing.T) {
	for name, long := range map[string]string{"pairs": "", "bytes of names": strings.Repeat("x", 200)} {
		t.Run(name, func(t *testing.T) {
			const events, tops = 4 * manyPairs, 10
			f := newFresh()
			f.add(1, "top1/known", 4, unique.Make("known"), 1)
			for i := range events {
				top := fmt.Sprint("top", i%tops)
				f.add(1, fmt.Sprintf("%s/%s%d", top, long, i/7), len(top), unique.Make(fmt.Sprint("type", i%7)), 1)
			}
			f.add(1, "top1/known", 4, unique.Make("known"), 1)
			f.add(1, "new", 3, unique.Make("new"), 1)
			if got, most := len(f.counts), 2*manyPairs+tops*8+2; got > most {
				t.Errorf("got %d pairs, want at most %d", got, most)
			}
			if got, most := len(f.names.text), 2*manyNames+1000; got > most {
				t.Errorf("got %d bytes of names, want at most %d", got, most)
			}
			sum, others := uint64(0), uint64(0)
			for i := range tops {
				for k, n := range cells(f.tallies(fmt.Sprint("top", i))[1]) {
					sum += n
					if k[0] == otherNamespaces {
						others += n
					}
				}
			}
			if sum != events+2 || others == 0 {
				t.Errorf("got %d events, %d of them summed, want %d, and some", sum, others, events+2)
			}
			if got := cells(f.tallies("top1")[1])[[2]string{"/known", "known"}]; got != 2 {
				t.Errorf("a pair that was there: got %d, want 2", got)
			}
			if got := cells(f.tallies("new")[1]); got[[2]string{otherNamespaces, otherTypes}] != 1 {
				t.Errorf("a new namespace: got %v, want its event among others", got)
			}
		})
	}
}

// Two paths may have one hash, and a path may look like another's part.
func TestNameTableTellsPathsApart(t *testing.T) {
	n := &nameTable{seed: maphash.MakeSeed(), numbers: map[uint64]uint32{}}
	a, _ := n.number("acme", 4, true)
	n.numbers[maphash.String(n.seed, "beta/x")] = a
	n.numbers[maphash.String(n.seed, "beta")] = a
	b, _ := n.number("beta/x", 4, true)
	c, _ := n.number("acme*", 4, true)
	d, _ := n.number("acme*", 5, true)
	for i := range 2 {
		for path, want := range map[string]uint32{"acme": a, "beta/x": b} {
			if got, ok := n.number(path, 4, i == 1); !ok || got != want {
				t.Errorf("%s: got %d, %v, want %d", path, got, ok, want)
			}
		}
	}
	if top, ok := n.number("beta", 4, false); !ok || n.list[b].top != top || top == a {
		t.Errorf("top-level namespace of beta/x: got %d, %v, want %d", top, ok, n.list[b].top)
	}
	if c == d || n.list[c].top != a || n.list[d].top != d {
		t.Errorf("got numbers %d and %d, below %d and %d: want two, below %d and itself", c, d, n.list[c].top, n.list[d].top, a)
	}
	if _, ok := n.number("gamma", 5, false); ok {
		t.Error("gamma: got a number, want none")
	}
}
