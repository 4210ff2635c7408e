package segment_test

import (
	"slices"
	"testing"

	"github.com/sluicelog/sluice/segment"
)

// TestBadIndexIsNamed flips a bit of the index in a footer, which costs nothing: the
// blocks have it all. Who uses it, and who walks over the file, says so all the same,
// once.
func TestBadIndexIsNamed(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	blocks := s.at(s.files[0])
	end := blocks[len(blocks)-1].offset + blocks[len(blocks)-1].size
	for _, at := range []int64{end, end + 5, end + 9, end + 20, end + 32} { // magic, then entries of 24 bytes
		disk := s.disk.Clone()
		data := disk.Get(s.files[0])
		data[at] ^= 4
		disk.Put(s.files[0], data)
		e, p, err := openLog(disk)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			for _, b := range []place{blocks[1], blocks[len(blocks)-1]} {
				if got, err := p.Next(t.Context(), b.first+1); err != nil || got.Header.First != b.first {
					t.Fatalf("byte %d: the block at %d: got %d (%v)", at-end, b.first, got.Header.First, err)
				}
			}
		}
		if got := p.State().Damage; len(got) != 1 || got[0].First != 0 {
			t.Errorf("byte %d of the footer: got damage %v, want the footer, once", at-end, got)
		}
		wrong := slices.DeleteFunc(pieces(t, e), func(text string) bool { return text[len(text)-1] >= '0' && text[len(text)-1] <= '9' })
		if len(wrong) != 1 {
			t.Errorf("byte %d of the footer: walked over %q, want it named once", at-end, wrong)
		}
		var found bool
		err = e.Walk(t.Context(), "audit", func(p segment.Piece) error {
			found = found || p.Damage != nil && p.Offset == end
			return nil
		})
		if err != nil || !found {
			t.Errorf("byte %d of the footer: it is not walked over as damage at %d (%v)", at-end, end, err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
