package eventlog

import (
	"bytes"
	"errors"
	"runtime"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// TestFramesThatUnpackToMore reads frames that hold much more than their directory
// says, with the right checksum: they are damaged, and cost no memory for what they
// hold.
func TestFramesThatUnpackToMore(t *testing.T) {
	const said, held = 64 << 10, 48 << 20
	zeros := make([]byte, held)
	whole, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	var silent bytes.Buffer // a frame that does not say how long it is
	w, err := zstd.NewWriter(&silent)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(zeros); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	first := whole.EncodeAll(zeros[:said], nil)
	for _, tt := range []struct {
		name   string
		codec  Codec
		stored []byte
	}{
		{"s2", S2, s2.Encode(nil, zeros)},
		{"zstd", Zstd, whole.EncodeAll(zeros, nil)},
		{"zstd without a length", Zstd, silent.Bytes()},
		{"two of zstd", Zstd, whole.EncodeAll(zeros, first)},
		{"nothing of zstd", Zstd, nil},
	} {
		d := &Directory{Frames: []Frame{{Events: 1, Raw: said, Stored: uint32(len(tt.stored)), CRC: Checksum(tt.stored)}}}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := d.decode(tt.codec, 0, tt.stored, nil)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: got %v, want damage", tt.name, err)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > 4<<20 {
			t.Errorf("%s: %d bytes were allocated for a frame of %d", tt.name, got, said)
		}
	}
}
