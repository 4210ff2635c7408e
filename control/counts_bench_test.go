package control

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/store"
)

// busyBlocks returns blocks of events of 1 KB of many tenants, by Zipf's law, in
// one or more projects each.
func busyBlocks(b *testing.B, projects int) (blocks []*eventlog.Outline, events int) {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l, err := eventlog.Open(ctx, eventlog.NewMemory(eventlog.MemoryOptions{Log: eventlog.LogID{1}}), eventlog.Options{ID: eventlog.LogID{1}})
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	r := rand.New(rand.NewPCG(1, 2))
	tenants := rand.NewZipf(r, 1.01, 1, 9999)
	pad := strings.Repeat("x", 900)
	var scanner sluice.Scanner
	for request := range 400 {
		var batch eventlog.Batch
		for i := range 100 {
			src := fmt.Sprintf(`{"id":"%d-%d","event_type":"type%d","entity_path":"tenant-%d/project-%d","pad":%q}`,
				request, i, r.IntN(12), tenants.Uint64(), r.IntN(projects), pad)
			payload, env, _, err := scanner.Scan(nil, []byte(src))
			if err != nil {
				b.Fatal(err)
			}
			batch.Add(payload, &env, "t0")
		}
		if _, err := l.Append(ctx, map[string]*eventlog.Batch{"audit": &batch}); err != nil {
			b.Fatal(err)
		}
	}
	for seq := uint64(1); seq <= l.Last("audit"); {
		block, err := l.Outline(ctx, "audit", seq)
		if err != nil {
			b.Fatal(err)
		}
		blocks, events, seq = append(blocks, block), events+len(block.Entries), block.Last()+1
	}
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	return blocks, events
}

// BenchmarkCount counts events of 10,000 tenants: what each event costs.
func BenchmarkCount(b *testing.B) {
	for _, projects := range []int{1, 10} {
		b.Run(fmt.Sprint("projects=", projects), func(b *testing.B) {
			blocks, events := busyBlocks(b, projects)
			c := testCounter(store.NewMemory())
			b.ReportAllocs()
			for b.Loop() {
				for _, block := range blocks {
					if err := c.add(b.Context(), block); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*events), "ns/event")
		})
	}
}

// BenchmarkStoreCounts stores a minute of 10,000 tenants: what each costs.
func BenchmarkStoreCounts(b *testing.B) {
	blocks, _ := busyBlocks(b, 1)
	c := testCounter(store.NewMemory())
	tenants := 0
	for b.Loop() {
		for _, block := range blocks {
			if err := c.add(b.Context(), block); err != nil {
				b.Fatal(err)
			}
		}
		tenants = 0
		for i := range c.fresh.names.list {
			if c.fresh.names.list[i].top == uint32(i) {
				tenants++
			}
		}
		c.seq = uint64(b.N) + c.seq + 1 // a later round than the one before
		if err := c.store(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*tenants), "ns/tenant")
}

// BenchmarkReadCounts reads a week of a tenant with 100 projects and 12 types, as
// a page asks for it.
func BenchmarkReadCounts(b *testing.B) {
	blocks, _ := busyBlocks(b, 100)
	c := testCounter(store.NewMemory())
	for _, block := range blocks {
		if err := c.add(b.Context(), block); err != nil {
			b.Fatal(err)
		}
	}
	const top, last = "tenant-0", 500_000
	for _, tally := range c.fresh.tallies(top) {
		value := tally.encode()
		for i := range int64(maxCountHours) {
			if errs := c.s.store.Apply(b.Context(), store.Change{Key: c.key(hourOf{last - i, top}), Value: value}); errs != nil && errs[0] != nil {
				b.Fatal(errs[0])
			}
		}
	}
	c.fresh = newFresh()
	for b.Loop() {
		sum := &countSum{top: top, scope: top, types: true, namespaces: true, hours: map[int64]*HourCounts{}}
		if err := c.each(b.Context(), top, last-maxCountHours+1, maxCountHours, sum.add); err != nil {
			b.Fatal(err)
		}
		if len(sum.list()) != maxCountHours {
			b.Fatalf("got %d hours, want %d", len(sum.list()), maxCountHours)
		}
	}
}
