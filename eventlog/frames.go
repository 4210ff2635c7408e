package eventlog

import (
	"iter"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

const (
	// decoders is how many goroutines decode the frames of a block at most.
	decoders = 4
	// keptRaw is the memory that Frames keeps from one block to the next; only a
	// large event needs more.
	keptRaw = 2 * MaxRaw
)

// Frames reads many events of one block after another: the frames that are wanted
// are read at once and decoded by several goroutines, into memory that is used
// again for the next block. It belongs to one goroutine. The zero Frames is ready
// for Open.
type Frames struct {
	o      *Outline
	states []frameState // of each frame
	list   []int        // wanted, while they are decoded
	stored []byte       // of these, and what lies between
	raw    []byte       // the block's events, where they are decoded
}

type frameState uint8

const (
	frameUnread frameState = iota
	frameDecoded
	frameFailed // Outline.Event says why
)

// Open goes on with another block. What Event returned before is not valid any
// more.
func (f *Frames) Open(o *Outline) {
	f.o = o
	f.states = append(f.states[:0], make([]frameState, len(o.frames))...)
	if cap(f.raw) > keptRaw {
		f.raw, f.stored = nil, nil
	}
}

// Has reports whether event i needs no Decode any more.
func (f *Frames) Has(i int) bool { return f.o.block != nil || f.states[f.o.frameOf(i)] != frameUnread }

// Decode reads what holds the wanted events, given by index in rising order, as
// far as that was not done before.
func (f *Frames) Decode(wanted iter.Seq[int]) {
	if f.o.block != nil {
		return
	}
	f.list = f.list[:0]
	at := 0
	for i := range wanted {
		for at+1 < len(f.o.frames) && f.o.frames[at+1].event <= i {
			at++
		}
		if f.states[at] == frameUnread && (len(f.list) == 0 || f.list[len(f.list)-1] != at) {
			f.list = append(f.list, at)
		}
	}
	if len(f.list) == 0 {
		return
	}
	for _, i := range f.list {
		f.states[i] = frameFailed
	}
	first, last := f.list[0], f.list[len(f.list)-1]
	from := f.o.frames[first].stored
	f.stored = slices.Grow(f.stored[:0], int(f.o.frames[last].stored-from)+int(f.o.Frames[last].Stored))
	f.stored = f.stored[:int(f.o.frames[last].stored-from)+int(f.o.Frames[last].Stored)]
	if n, _ := f.o.stored.ReadAt(f.stored, from); n < len(f.stored) {
		return // the frames that are there are read one by one
	}
	f.raw = slices.Grow(f.raw[:0], int(f.o.RawLen))[:f.o.RawLen]
	f.decode(from)
}

// decode decodes the frames of the list, which were stored from an offset on.
func (f *Frames) decode(from int64) {
	var next atomic.Int64
	work := func() {
		for {
			n := int(next.Add(1)) - 1
			if n >= len(f.list) {
				return
			}
			i := f.list[n]
			at := f.o.frames[i]
			out := f.raw[at.raw : at.raw : at.raw+f.o.Frames[i].Raw]
			if _, err := f.o.decode(f.o.Codec, i, f.stored[at.stored-from:], out); err == nil {
				f.states[i] = frameDecoded
			}
		}
	}
	var wg sync.WaitGroup
	for range min(len(f.list), decoders, runtime.GOMAXPROCS(0)) - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
}

// Event is like [Outline.Event]; what it returns is valid until Open.
func (f *Frames) Event(i int) ([]byte, error) {
	if f.o.block != nil || f.states[f.o.frameOf(i)] != frameDecoded {
		return f.o.Event(i)
	}
	e := &f.o.Entries[i]
	return f.raw[e.Offset : e.Offset+e.Len], nil
}
