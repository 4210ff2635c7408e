package segment_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/eventlog/eventlogtest"
	"github.com/sluicelog/sluice/segment"
	"github.com/sluicelog/sluice/segment/segmenttest"
)

// place is where a block lies.
type place struct {
	file         string
	offset, size int64
	first, last  uint64
}

func (p place) holds(file string, offset int64) bool {
	return p.file == file && offset >= p.offset && offset < p.offset+p.size
}

// sample is a log of three files, the last of which still has space.
type sample struct {
	*history
	disk   *segmenttest.Disk
	places []place
	files  []string // paths, oldest first
}

func newSample(t *testing.T) *sample {
	t.Helper()
	s := &sample{history: newHistory(), disk: segmenttest.NewDisk(1)}
	e, p, err := openLog(s.disk)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 22 {
		if err := s.append(p, 5_000+i%3*2_500); err != nil {
			t.Fatal(err)
		}
	}
	err = e.Walk(t.Context(), "audit", func(p segment.Piece) error {
		if p.Damage != nil {
			return fmt.Errorf("damage: %v", p.Damage)
		}
		s.places = append(s.places, place{"log/audit/" + p.File, p.Offset, p.Size, p.Header.First, p.Header.Last()})
		return nil
	})
	if err := errors.Join(err, e.Close()); err != nil {
		t.Fatal(err)
	}
	for _, name := range s.disk.Files() {
		if strings.HasSuffix(name, ".seg") {
			s.files = append(s.files, name)
		}
	}
	if len(s.files) != 3 || len(s.places) != len(s.acked) {
		t.Fatalf("sample: got files %q and %d blocks, want 3 and %d", s.files, len(s.places), len(s.acked))
	}
	return s
}

// at returns the blocks in the given file, or in all when it is "".
func (s *sample) at(file string) []place {
	return slices.DeleteFunc(slices.Clone(s.places), func(p place) bool { return file != "" && p.file != file })
}

// outcome is what a reader gets from a damaged log.
type outcome struct {
	good, bad map[uint64]bool // by first number; bad: the header is good and the body is not
	state     eventlog.State
}

func (o *outcome) named(p place) bool {
	return o.bad[p.first] || slices.ContainsFunc(o.state.Damage, func(d eventlog.Damage) bool {
		return d.First <= p.first && p.last <= d.Last
	})
}

func (s *sample) read(p eventlog.Partition) (*outcome, error) {
	o := &outcome{good: map[uint64]bool{}, bad: map[uint64]bool{}}
	for seq := uint64(1); ; {
		b, err := p.Next(context.Background(), seq)
		if errors.Is(err, io.EOF) {
			o.state = p.State()
			return o, nil
		}
		if err != nil {
			return nil, err
		}
		h := b.Header
		got, err := eventlogtest.Read(b)
		switch {
		case errors.Is(err, eventlog.ErrDamaged):
			o.bad[h.First] = true
		case err != nil:
			return nil, err
		case !bytes.Equal(got, s.blocks[h.First]):
			return nil, fmt.Errorf("block %d is not what was appended", h.First)
		default:
			o.good[h.First] = true
		}
		seq = h.Last() + 1
	}
}

// expect opens a damaged disk, twice, and compares: all blocks but those that lost
// lists are read, and those are named, unless quiet. The log goes on with numbers
// never used before.
func (s *sample) expect(disk *segmenttest.Disk, lost func(place) bool, quiet bool) error {
	used := s.places[len(s.places)-1].last
	next := uint64(0)
	for round := range 2 {
		e, p, err := openLog(disk)
		if err != nil {
			return fmt.Errorf("open: %w", err)
		}
		o, err := s.read(p)
		if err != nil {
			return err
		}
		for _, b := range s.places {
			switch {
			case o.good[b.first]:
			case !lost(b):
				return fmt.Errorf("round %d: block %d at %d is lost", round, b.first, b.offset)
			case !quiet && !o.named(b):
				return fmt.Errorf("round %d: block %d is lost and not named in %v", round, b.first, o.state.Damage)
			}
		}
		next = max(next, o.state.Last.Last()+1, o.state.Reserved+1)
		if !quiet && next <= used {
			return fmt.Errorf("round %d: next number %d was used before", round, next)
		}
		for range 2 {
			if err := s.goOn(p, &next); err != nil {
				return fmt.Errorf("round %d: %w", round, err)
			}
		}
		if err := e.Close(); err != nil {
			return err
		}
	}
	return nil
}

// goOn appends a block at next and reads it.
func (s *sample) goOn(p eventlog.Partition, next *uint64) error {
	m := eventlogtest.Maker{Log: logID(), Partition: "audit", Next: *next, Accepted: p.State().Last.Accepted}
	block := m.Block(2, 6_000)
	if err := p.Append(context.Background(), block); err != nil {
		return err
	}
	s.blocks[*next] = block
	b, err := p.Next(context.Background(), *next)
	if err != nil {
		return fmt.Errorf("read back %d: %w", *next, err)
	}
	got, err := eventlogtest.Read(b)
	if err == nil && !bytes.Equal(got, block) {
		err = fmt.Errorf("block %d differs", *next)
	}
	*next = m.Next
	return err
}

// clone returns the sample for one experiment on its disk.
func (s *sample) clone() (*sample, *segmenttest.Disk) {
	c := *s
	h := *s.history
	h.blocks = map[uint64][]byte{}
	for first, b := range s.blocks {
		h.blocks[first] = b
	}
	c.history = &h
	return &c, s.disk.Clone()
}

// TestBitFlips flips bits everywhere: in every byte of headers and footers, and
// here and there in bodies and behind the last block.
func TestBitFlips(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	rnd := rand.New(rand.NewPCG(7, 7))
	type spot struct {
		file   string
		offset int64
	}
	var spots []spot
	for i := range 4 * int64(eventlog.HeaderSize) {
		b := s.places[rnd.IntN(len(s.places))]
		spots = append(spots, spot{b.file, b.offset + i%eventlog.HeaderSize})
	}
	for i := range int64(eventlog.HeaderSize) {
		b := s.places[len(s.places)-1]
		spots = append(spots, spot{b.file, b.offset + i})
	}
	for range 200 {
		b := s.places[rnd.IntN(len(s.places))]
		spots = append(spots, spot{b.file, b.offset + rnd.Int64N(b.size)})
	}
	for i, file := range s.files {
		blocks := s.at(file)
		end := blocks[len(blocks)-1].offset + blocks[len(blocks)-1].size
		length := int64(len(s.disk.Get(file)))
		for off := end; i < 2 && off < length; off++ {
			spots = append(spots, spot{file, off})
		}
		for n := 0; i == 2 && n < 40; n++ {
			spots = append(spots, spot{file, end + rnd.Int64N(length-end)})
		}
	}
	for _, at := range spots {
		s, disk := s.clone()
		data := disk.Get(at.file)
		data[at.offset] ^= 1 << rnd.IntN(8)
		disk.Put(at.file, data)
		err := s.expect(disk, func(p place) bool { return p.holds(at.file, at.offset) }, false)
		if err != nil {
			t.Errorf("bit flipped in %s at %d: %v", at.file, at.offset, err)
		}
	}
}

// TestCutTails cuts every file at lengths of every class.
func TestCutTails(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	for i, file := range s.files {
		blocks := s.at(file)
		length := int64(len(s.disk.Get(file)))
		last := blocks[len(blocks)-1]
		end := last.offset + last.size
		lengths := []int64{0, 1, 100, 512, blocks[1].offset, blocks[1].offset + 1, blocks[1].offset + 127,
			blocks[1].offset + 128, blocks[2].offset - 1, last.offset + 200, end - 1, end, end + 1, end + 9, length - 1}
		for _, n := range lengths {
			s, disk := s.clone()
			disk.Put(file, slices.Clip(disk.Get(file)[:n]))
			// Only something beside the log can tell that its last blocks are gone.
			err := s.expect(disk, func(p place) bool { return p.file == file && p.offset+p.size > n }, i == 2)
			if err != nil {
				t.Errorf("%s cut to %d of %d: %v", file, n, length, err)
			}
		}
	}
}

func TestMissingFiles(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	for i, file := range s.files {
		s, disk := s.clone()
		disk.Put(file, nil)
		err := s.expect(disk, func(p place) bool { return p.file == file }, i != 1)
		if err != nil {
			t.Errorf("%s removed: %v", file, err)
		}
	}
}

// TestVanishedFile removes a file while the log is open.
func TestVanishedFile(t *testing.T) {
	s := newSample(t)
	_, p, err := openLog(s.disk)
	if err != nil {
		t.Fatal(err)
	}
	s.disk.Put(s.files[1], nil)
	o, err := s.read(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range s.places {
		if in := b.file == s.files[1]; o.good[b.first] == in || in != o.named(b) {
			t.Errorf("block %d: got read %v, named %v; in the removed file: %v", b.first, o.good[b.first], o.named(b), in)
		}
	}
}

// TestTrimPassesVanishedFiles removes the oldest files while the log is open, which
// must not keep it from removing those behind them.
func TestTrimPassesVanishedFiles(t *testing.T) {
	s := newSample(t)
	_, p, err := openLog(s.disk)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.files) < 3 {
		t.Fatalf("%d files, want 3 and more", len(s.files))
	}
	for _, file := range s.files[:len(s.files)-2] {
		s.disk.Put(file, nil)
	}
	last := s.files[len(s.files)-1]
	if err := p.Trim(t.Context(), p.State().Last.First); err != nil {
		t.Error(err)
	}
	if got := s.disk.Files(); slices.Contains(got, s.files[len(s.files)-2]) || !slices.Contains(got, last) {
		t.Errorf("after trimming: got %q, want %s of the sample's files", got, last)
	}
	if first := p.State().First; first != s.at(last)[0].first {
		t.Errorf("first: got %d, want %d", first, s.at(last)[0].first)
	}
}

// TestWipedRanges overwrites parts of files, blocks and files together.
func TestWipedRanges(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	rnd := rand.New(rand.NewPCG(8, 8))
	for _, fill := range []byte{0, 0xff, 'x'} {
		for _, file := range s.files {
			for range 30 {
				s, disk := s.clone()
				blocks := s.at(file)
				last := blocks[len(blocks)-2] // what was cut off at the end is another matter
				from := rnd.Int64N(last.offset)
				to := from + 1 + rnd.Int64N(last.offset-from)
				data := disk.Get(file)
				for i := from; i < to; i++ {
					data[i] = fill
				}
				disk.Put(file, data)
				err := s.expect(disk, func(p place) bool { return p.file == file && p.offset < to && p.offset+p.size > from }, false)
				if err != nil {
					t.Errorf("%s wiped with %q from %d to %d: %v", file, fill, from, to, err)
				}
			}
		}
	}
}

// TestForeignBlocks puts a block of another log over one, and files of strangers
// beside the log.
func TestForeignBlocks(t *testing.T) {
	s := newSample(t)
	b := s.places[3]
	m := eventlogtest.Maker{Log: eventlog.LogID{9}, Partition: "audit", Next: b.first}
	data := s.disk.Get(b.file)
	copy(data[b.offset:b.offset+b.size], m.Block(3, int(b.size)-300))
	s.disk.Put(b.file, data)
	strangers := []string{"log/audit/notes.txt", "log/audit/1.seg", "log/audit/00000000000000000000.seg", "log/stray"}
	for _, name := range strangers {
		s.disk.Put(name, []byte("mine"))
	}
	if err := s.expect(s.disk, func(p place) bool { return p == b }, false); err != nil {
		t.Error(err)
	}
	for _, name := range strangers {
		if got := s.disk.Get(name); string(got) != "mine" {
			t.Errorf("%s: got %q, want it left alone", name, got)
		}
	}
}
