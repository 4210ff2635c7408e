package destination

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"sync"
	"testing"
)

func TestPackersGiveTheSameBytes(t *testing.T) {
	large := strings.Repeat("some words that come again and again, ", 5000)
	fill := func(p *Packer) {
		for _, piece := range []string{"", "a", large, "b", large, strings.Repeat("x", maxKeptBuffer+1)} {
			before := len(p.Raw)
			p.Raw = append(p.Raw, "taken back"...)
			p.Raw = append(p.Raw[:before], piece...)
			p.Flush()
		}
	}
	want := "a" + large + "b" + large + strings.Repeat("x", maxKeptBuffer+1)
	var packers Packers
	first := packers.Pack(fill)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			packers.Pack(func(p *Packer) { p.Raw = append(p.Raw, "another"...) })
			if got := packers.Pack(fill); !bytes.Equal(got, first) {
				t.Errorf("Pack: got %d other bytes, want the same %d", len(got), len(first))
			}
		})
	}
	wg.Wait()
	r, err := gzip.NewReader(bytes.NewReader(first))
	if err != nil {
		t.Fatalf("unpack: got %v, want nil", err)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != want {
		t.Errorf("unpack: got %d bytes, %v, want the %d that were gathered", len(got), err, len(want))
	}
}

func TestPackerCounts(t *testing.T) {
	var packers Packers
	for range 2 {
		packers.Pack(func(p *Packer) {
			for i := range 20 {
				if got, want := p.Len(), i*10_000; got != want {
					t.Errorf("Len: got %d, want %d", got, want)
				}
				p.Raw = append(p.Raw, make([]byte, 10_000)...)
				p.Flush()
			}
		})
	}
}
