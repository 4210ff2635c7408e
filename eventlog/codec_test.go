package eventlog

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
)

var update = flag.Bool("update", false, "write the golden files again")

// seal encodes the events of a batch as one block.
func seal(t testing.TB, codec Codec, b *Batch, pos *position) ([]byte, *Block) {
	t.Helper()
	enc, err := newEncoder(codec)
	if err != nil {
		t.Fatal(err)
	}
	g := new(partition).newGroup(pos.first)
	b.remap.reset(&b.dir)
	for i := range b.ents {
		e := b.ents[i]
		g.b.add(b.raw[e.Offset:e.Offset+e.Len+1], e, &b.remap, &b.dir)
	}
	for i := range g.b.dict.tops {
		g.b.dict.tops[i].Total = 100 + g.b.counts[i]
	}
	stored, blk := enc.encode(&g.b, pos)
	return bytes.Clone(stored), blk
}

func at(seconds int) time.Time {
	return time.Date(2026, 3, 1, 12, 0, seconds, 123456000, time.UTC)
}

// small is the block of the golden file.
func small(t testing.TB, codec Codec) []byte {
	b := batchOf(
		event{ns: "Acme/web", id: "a1", body: "first", at: at(-5)},
		event{ns: "acme", typ: "user.logout", id: "a2", body: "second"},
		event{ns: "globex/api", id: "7", body: "third", source: "token-2", at: at(1)},
		event{ns: "", id: "a4", body: "fourth"},
	)
	stored, _ := seal(t, codec, b, &position{
		log: testID(), partition: Checksum([]byte(part)), first: 1001, total: 900, chain: Chain{9, 8, 7},
		snapshot: 1, accepted: at(0), all: true, others: []Top{{Name: "initech", Total: 12}},
		missing: &Missing{First: 901, Last: 1000, Cause: "the log ends before its anchor"},
	})
	return stored
}

// TestGolden fails when the format changes: there are logs that have to stay
// readable. A new format gets a new version and a golden file of its own.
func TestGolden(t *testing.T) {
	for name, codec := range map[string]Codec{"raw": Raw, "s2": S2, "zstd": Zstd} {
		got := small(t, codec)
		file := filepath.Join("testdata", "block-v1-"+name+".bin")
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		// How well a compressor does may change; what is written without one may not.
		if codec == Raw && !bytes.Equal(got, want) {
			t.Errorf("%s: got other bytes than the golden file's", name)
		}
		b, err := ParseBlock(want)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		equal(t, name+": verified", VerifyBlock(want), nil)
		equal(t, name+": chain verified", VerifyChain(Chain{9, 8, 7}, want), true)
		if got, want := describe(t, b), golden; got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
}

const golden = `1001 to 1004, total 904, accepted 2026-03-01T12:00:00.123456Z, snapshot 1001
missing 901 to 1000: the log ends before its anchor
tops [{acme 102} {globex 101} { 101}], others [{initech 12}]
1001 acme/web user.login audit token-1 id a1 2026-03-01T11:59:55.123456Z {"id":"a1","entity_path":"Acme/web","event_type":"user.login","body":"first"}
1002 acme user.logout audit token-1 id a2 2026-03-01T12:00:00.123456Z {"id":"a2","entity_path":"acme","event_type":"user.logout","body":"second"}
1003 globex/api user.login audit token-2 id 7 2026-03-01T12:00:01.123456Z {"id":"7","entity_path":"globex/api","event_type":"user.login","body":"third"}
1004  user.login audit token-1 id a4 2026-03-01T12:00:00.123456Z {"id":"a4","entity_path":"","event_type":"user.login","body":"fourth"}
`

func describe(t testing.TB, b *Block) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%d to %d, total %d, accepted %s, snapshot %d\n", b.First, b.Last(), b.Total, b.Accepted.Format(time.RFC3339Nano), b.LastSnapshot)
	if m := b.Missing; m != nil {
		fmt.Fprintf(&s, "missing %d to %d: %s\n", m.First, m.Last, m.Cause)
	}
	fmt.Fprintf(&s, "tops %v, others %v\n", b.Tops, b.Others)
	for i := range b.Entries {
		e := &b.Entries[i]
		id, err := b.ID(i)
		if err != nil {
			t.Fatal(err)
		}
		p, _ := b.Payload(i)
		fmt.Fprintf(&s, "%d %s %s %s %s id %s %s %s\n", b.First+uint64(i), b.Namespaces[e.Namespace].Folded,
			b.Types[e.Type].Name, b.Types[e.Type].Class, b.Sources[e.Source], id, e.EventTime().Format(time.RFC3339Nano), p)
	}
	return s.String()
}

// TestEveryBitFlip flips each bit of a block: none goes unnoticed.
func TestEveryBitFlip(t *testing.T) {
	for _, codec := range []Codec{Raw, S2, Zstd} {
		block := small(t, codec)
		for bit := range len(block) * 8 {
			bad := bytes.Clone(block)
			bad[bit/8] ^= 1 << (bit % 8)
			if err := VerifyBlock(bad); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNoBlock) {
				t.Fatalf("codec %d, bit %d: verify got %v, want an error", codec, bit, err)
			}
			b, err := ParseBlock(bad)
			if err == nil {
				err = b.Load()
			}
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNoBlock) {
				t.Fatalf("codec %d, bit %d: load got %v, want an error", codec, bit, err)
			}
		}
		for n := range len(block) {
			if VerifyBlock(block[:n]) == nil {
				t.Fatalf("codec %d: a block cut to %d bytes is verified", codec, n)
			}
		}
	}
}

// randomEvents returns events whose fields come from dictionaries of all sizes.
func randomEvents(rnd *rand.Rand) []event {
	spread := []int{1, 2, 250, 300, 2000}
	namespaces, types, sources := spread[rnd.IntN(5)], spread[rnd.IntN(5)], spread[rnd.IntN(5)]
	events := make([]event, 1+rnd.IntN(1+rnd.IntN(3000)))
	for i := range events {
		e := event{
			ns:  fmt.Sprintf("Top%d/p%d", rnd.IntN(1+namespaces/4), rnd.IntN(namespaces)),
			typ: fmt.Sprintf("type.%d", rnd.IntN(types)), source: fmt.Sprint(rnd.IntN(sources)),
			id: fmt.Sprint(rnd.Uint64()), body: strings.Repeat("x", rnd.IntN(1+rnd.IntN(300))),
		}
		if rnd.IntN(3) == 0 {
			e.at = at(0).Add(time.Duration(rnd.Int64N(1e18) - 5e17)).Truncate(time.Microsecond)
		}
		if rnd.IntN(500) == 0 {
			e.body = strings.Repeat("y", 80_000)
		}
		events[i] = e
	}
	return events
}

// TestRoundTrip writes and reads random blocks.
func TestRoundTrip(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for round := range 16 {
		events := randomEvents(rnd)
		pos := &position{log: testID(), first: 1 + rnd.Uint64N(1<<60), total: rnd.Uint64N(1 << 60), chain: Chain{byte(round)}, accepted: at(0), all: round%2 == 0}
		for _, codec := range []Codec{Raw, S2, Zstd} {
			stored, written := seal(t, codec, batchOf(events...), pos)
			for _, whole := range []bool{true, false} {
				read, err := ParseBlock(bytes.Clone(stored))
				if err != nil {
					t.Fatal(err)
				}
				if whole {
					if err := read.Load(); err != nil {
						t.Fatal(err)
					}
				}
				sameBlock(t, read, written, events, rnd)
			}
			equal(t, "verified", VerifyBlock(stored), nil)
			equal(t, "chain", VerifyChain(pos.chain, stored), true)
			equal(t, "another chain", VerifyChain(Chain{0xff}, stored), false)
		}
	}
}

func sameBlock(t *testing.T, read, written *Block, events []event, rnd *rand.Rand) {
	t.Helper()
	if read.Header != written.Header {
		t.Fatalf("header: got %+v, want %+v", read.Header, written.Header)
	}
	if !reflect.DeepEqual(read.Entries, written.Entries) || !reflect.DeepEqual(read.Tops, written.Tops) ||
		!reflect.DeepEqual(read.Frames, written.Frames) || !reflect.DeepEqual(read.Namespaces, written.Namespaces) {
		t.Fatal("directory: got another one than was written")
	}
	for _, i := range rnd.Perm(len(events)) {
		e := &read.Entries[i]
		got, err := read.Payload(i)
		if err != nil {
			t.Fatal(err)
		}
		want := events[i]
		equal(t, "payload", string(got), string(want.payload()))
		id, _ := read.ID(i)
		equal(t, "id", string(id), want.id)
		equal(t, "namespace", read.Namespaces[e.Namespace].Path, want.ns)
		equal(t, "type", read.Types[e.Type].Name, want.typ)
		equal(t, "source", read.Sources[e.Source], want.source)
		when := want.at
		if when.IsZero() {
			when = read.Accepted
		}
		equal(t, "time", e.EventTime(), when)
		top := read.Tops[read.Namespaces[e.Namespace].Top].Name
		equal(t, "top", top, sluice.TopLevel(sluice.FoldNamespace(want.ns)))
		equal(t, "hash", e.Hash, IDHash(top, []byte(want.id)))
	}
}

// TestFullBatch fills a dictionary: nothing may ever be filed under another name.
func TestFullBatch(t *testing.T) {
	b := &Batch{}
	for i := 0; !b.Full(); i++ {
		event{ns: fmt.Sprintf("t%d", i), id: "1"}.add(b)
	}
	equal(t, "events", b.Len(), maxDictionary)
	defer func() {
		if recover() == nil {
			t.Error("add: got no panic, want one when numbers are used up")
		}
		equal(t, "namespaces", len(b.dir.namespaces), maxNumber)
	}()
	for i := range maxNumber {
		event{ns: fmt.Sprintf("u%d", i), id: "1"}.add(b)
	}
}

// FuzzParseBlock reads blocks whose directory and frames are anything at all.
func FuzzParseBlock(f *testing.F) {
	for _, codec := range []Codec{Raw, S2, Zstd} {
		b := small(f, codec)
		h, err := ParseHeader(b)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(codec), h.Count, h.RawLen, h.Snapshot, b[HeaderSize:HeaderSize+h.DirLen], b[HeaderSize+h.DirLen:])
	}
	f.Fuzz(func(t *testing.T, codec byte, count, raw uint32, snapshot bool, dir, frames []byte) {
		h := Header{Codec: Codec(codec), Count: count, First: 5, RawLen: raw, Snapshot: snapshot, Accepted: at(0),
			DirLen: uint32(len(dir)), FramesLen: uint32(len(frames)), DirCRC: Checksum(dir)}
		block := SealHeader(&h, Chain{}, append(bytes.Clone(dir), frames...))
		b, err := ParseBlock(block)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("parse: got %v, want ErrDamaged", err)
			}
			if VerifyBlock(block) == nil {
				t.Fatal("verify: got no error for a block that cannot be parsed")
			}
			return
		}
		if got, most := b.MemSize(), 4096+25*len(block); got > most {
			t.Fatalf("memory: got %d bytes for a block of %d", got, len(block))
		}
		again := b.append(nil, h.Accepted.UnixMicro())
		d, err := parseDirectory(&Header{Codec: h.Codec, Count: count, RawLen: raw, Accepted: h.Accepted, DirLen: uint32(len(again)),
			FramesLen: h.FramesLen, DirCRC: Checksum(again)}, again)
		if err != nil || !reflect.DeepEqual(d, b.Directory) {
			t.Fatalf("directory: written and read again it is another one (%v)", err)
		}
		b.ByTop()
		if raw > 1<<20 {
			return // decoding is bounded by MaxBlock, which is too much for each of many inputs
		}
		whole := VerifyBlock(block) == nil
		for i := range b.Entries {
			if p, err := b.Payload(i); err == nil && len(p) != int(b.Entries[i].Len) {
				t.Fatalf("payload %d: got %d bytes, want %d", i, len(p), b.Entries[i].Len)
			}
		}
		if err := b.Load(); err == nil && !whole {
			t.Fatal("load: got no error for a block that is not verified")
		}
	})
}

// FuzzParseHeader reads headers that are anything at all.
func FuzzParseHeader(f *testing.F) {
	f.Add(small(f, Raw)[:HeaderSize])
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHeader(b)
		if err != nil {
			return
		}
		var again [HeaderSize]byte
		h.put(again[:])
		if got, err := ParseHeader(again[:]); err != nil || got != h {
			t.Fatalf("header: written and read again it is %+v (%v), want %+v", got, err, h)
		}
	})
}
