package eventlog

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestRecent compares recent with a list over random histories.
func TestRecent(t *testing.T) {
	const limit = 3000
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, hashes := range []uint64{1, 5, 500, 100_000} {
		r := newRecent(limit, 0)
		var list []recentEntry
		seq := uint64(0)
		for range 12_000 {
			switch n := rnd.IntN(1000); {
			case n == 0 && len(list) > 0: // the newest were not stored
				keep := len(list) - rnd.IntN(min(len(list), 40))
				last := uint64(0)
				if keep > 0 {
					last = list[keep-1].seq
				}
				r.truncate(last)
				list = list[:keep]
				seq = last
			case n < 20:
				seq += rnd.Uint64N(1000)
				fallthrough
			default:
				seq++
				hash := rnd.Uint64N(hashes)
				r.add(hash, seq)
				if list = append(list, recentEntry{hash: hash, seq: seq}); len(list) > limit {
					list = list[1:]
				}
			}
			hash := rnd.Uint64N(hashes)
			if got, want := r.find(nil, hash), findIn(list, hash); !slices.Equal(got, want) {
				t.Fatalf("%d hashes: find %d: got %v, want %v", hashes, hash, got, want)
			}
		}
		equal(t, "count", r.count, len(list))
	}
}

func findIn(list []recentEntry, hash uint64) []uint64 {
	var seqs []uint64
	for _, e := range slices.Backward(list) {
		if e.hash == hash && len(seqs) < sameHash {
			seqs = append(seqs, e.seq)
		}
	}
	return seqs
}

// BenchmarkRecentOneID adds events that all have the same id.
func BenchmarkRecentOneID(b *testing.B) {
	r := newRecent(RecentEvents, RecentEvents)
	var found []uint64
	seq := uint64(0)
	for range RecentEvents {
		seq++
		r.add(1, seq)
	}
	for b.Loop() {
		found = r.find(found[:0], 1)
		seq++
		r.add(1, seq)
	}
}
