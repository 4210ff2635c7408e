package control

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
	"unique"

	"github.com/sluicelog/sluice/store"
)

// testCounter is a counter without a log.
func testCounter(s store.Store) *counter {
	c := newCounter(New(Config{Store: s}), "audit")
	c.swept = c.old()
	return c
}

// give counts an event as if it were in the block that ends at seq.
func (c *counter) give(seq uint64, top, path, eventType string, hour int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seq = seq
	c.fresh.add(hour, top+path, len(top), unique.Make(eventType), 1)
}

// Hours long past go.
func TestCountsAreForgotten(t *testing.T) {
	c := testCounter(store.NewMemory())
	now := time.Unix(1000*24*3600, 0)
	c.s.now = func() time.Time { return now }
	c.swept = c.old()
	const days = 30
	for i := range uint64(days * 4) {
		c.give(i+1, "acme", "", "user.add", now.Unix()/3600)
		if err := c.store(t.Context()); err != nil {
			t.Fatal(err)
		}
		now = now.Add(6 * time.Hour)
	}
	records := 0
	for r, err := range c.s.store.List(t.Context(), countRecords) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Key != c.position() {
			records++
		}
	}
	if sum := c.total(t, "acme", now.Unix()/3600-countHours); records != countHours/6 || sum != countHours/6 {
		t.Errorf("after %d days: got %d records with %d events, want %d with as many", days, records, sum, countHours/6)
	}
}

// total sums what a counter knows of a namespace.
func (c *counter) total(t *testing.T, top string, since int64) (sum uint64) {
	t.Helper()
	if err := c.each(t.Context(), top, since, countHours, func(_ int64, tally *tally) {
		for _, r := range tally.rows {
			for _, x := range r.cells {
				sum += x.n
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	return sum
}

// What cannot be stored is kept, and what was stored although the answer was
// lost is not stored twice.
func TestCountsWaitForTheStore(t *testing.T) {
	memory := store.NewMemory()
	c := testCounter(memory)
	memory.SetBefore(func(store.Change) error { return store.ErrFull })
	c.give(5, "acme", "/web", "user.add", 1)
	if err := c.store(t.Context()); !errors.Is(err, store.ErrFull) {
		t.Errorf("a full disk: got %v", err)
	}
	c.give(6, "acme", "/web", "user.add", 1)
	if got := c.total(t, "acme", 0); got != 2 {
		t.Errorf("not stored: got %d, want 2", got)
	}
	lost := errors.New("the answer was lost")
	memory.SetBefore(nil)
	memory.SetAfter(func(store.Change) error { return lost })
	for range 2 { // the hours of a round, then its position
		if err := c.store(t.Context()); !errors.Is(err, lost) {
			t.Errorf("a lost answer: got %v", err)
		}
	}
	memory.SetAfter(nil)
	for range 2 { // what is left of that round, then the next one
		if err := c.store(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := c.total(t, "acme", 0); got != 2 || len(c.fresh.counts) != 0 {
		t.Errorf("stored: got %d and %d pairs not stored, want 2 and none", got, len(c.fresh.counts))
	}
}

// What is being stored can be read all the while: the race detector sees what does
// not wait for one another.
func TestCountsAreReadWhileStored(t *testing.T) {
	memory := store.NewMemory()
	c := testCounter(memory)
	for i := range uint64(3) {
		c.give(i+1, "acme", "/web", "user.add", int64(i))
	}
	reading := make(chan uint64, 1)
	var once sync.Once
	memory.SetAfter(func(store.Change) error {
		once.Do(func() {
			r := c.round
			go func() { reading <- r.read(3) }()
		})
		return nil
	})
	if err := c.store(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := <-reading; got != 3 {
		t.Errorf("got %d events, want 3", got)
	}
}

// read counts what a round has in the first hours of acme.
func (r *round) read(hours int64) (n uint64) {
	for hour := range hours {
		for _, row := range r.tally(hourOf{hour, "acme"}).rows {
			n += row.cells[0].n
		}
	}
	return n
}

// A tally of random events holds each of them somewhere, whatever the bounds, and
// those within the bounds where they belong; and a record holds the same.
func TestTallyHoldsAll(t *testing.T) {
	for _, c := range []struct {
		name         string
		paths, types int
		long         string
	}{
		{"few", 5, 3, ""}, {"many types", 3, 300, ""}, {"many namespaces", 5000, 3, ""},
		{"both", 3000, 300, ""}, {"long names", 500, 50, strings.Repeat("x", 250)},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			var sums tally
			want := map[[2]string]uint64{}
			sum := uint64(0)
			for i := range 50_000 {
				path, name := fmt.Sprintf("/%s%d", c.long, r.IntN(c.paths)), fmt.Sprintf("%s%d", c.long, r.IntN(c.types))
				n := r.Uint64N(1000) + 1
				want[[2]string{path, name}] += n
				sum += n
				sums.add(path, unique.Make(name), n)
				if i%5000 == 0 { // as it goes on after a round
					sums = reread(t, &sums)
				}
			}
			got, all := map[[2]string]uint64{}, uint64(0)
			for _, row := range sums.rows {
				for _, x := range row.cells {
					all += x.n
					if row.path != otherNamespaces && x.name != otherType {
						got[[2]string{row.path, x.name.Value()}] = x.n
					}
				}
			}
			if all != sum {
				t.Errorf("got %d events, want %d", all, sum)
			}
			for k, n := range got {
				if n > want[k] {
					t.Errorf("%v: got %d, want at most %d", k, n, want[k])
				}
			}
			if c.name == "few" && !maps.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
			const bound = maxCountPairs + maxCountTypes + 1
			if sums.pairs > bound || len(sums.rows) > maxCountNamespaces+1 || sums.names > maxCountNames+2*len(c.long)+20 {
				t.Errorf("got %d pairs, %d namespaces, %d bytes of names", sums.pairs, len(sums.rows), sums.names)
			}
		})
	}
}

func reread(t *testing.T, sums *tally) tally {
	t.Helper()
	out, err := decodeTally(sums.encode())
	if err != nil {
		t.Fatal(err)
	}
	return *out
}

func FuzzDecodeTally(f *testing.F) {
	var sums tally
	sums.upto = 300
	sums.add("/web", unique.Make("user.add"), 5)
	sums.add("", unique.Make("user.add"), 1<<40)
	f.Add(sums.encode())
	f.Add([]byte(`{"hours":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		sums, err := decodeTally(b)
		if err != nil {
			return
		}
		again, err := decodeTally(sums.encode())
		if err != nil || again.upto != sums.upto || again.pairs != sums.pairs || len(again.rows) != len(sums.rows) {
			t.Errorf("got %v, error %v, want %v", again, err, sums)
		}
	})
}

func TestMask(t *testing.T) {
	v := Stream{VerificationToken: "token", Config: []byte(`{"url":"https://jane:pw@x.example/a%2Fb?key=1#f","plain":"https://x.example/a","level":1,"headers":[{"name":"A","value":"b"},{"name":"C"}]}`)}
	if err := v.mask(); err != nil {
		t.Fatal(err)
	}
	want := `{"headers":[{"name":"A","value":"***"},{"name":"C"}],"level":1,"plain":"https://x.example/a","url":"https://***@x.example/a%2Fb?***#***"}`
	if string(v.Config) != want || v.VerificationToken != "" {
		t.Errorf("got %s and token %q, want %s", v.Config, v.VerificationToken, want)
	}
}
