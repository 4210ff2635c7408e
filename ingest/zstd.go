package ingest

import (
	"context"
	"errors"
	"net/http"

	"github.com/klauspost/compress/zstd"
)

// Packed bodies are read whole and decoded into a buffer that doubles until it
// is large enough. A stream decoder would take a frame's window, which its header
// claims, before it knows whether there is anything to decode.
const (
	// usualRatio is by how much a body of events is expected to shrink.
	usualRatio = 8
	// Each block of a frame takes at least 4 bytes (RFC 8878, 3.1.1.2) and
	// stands for at most 128 KiB: so much can a body of n bytes hold.
	minZstdBlock = 4
	maxZstdBlock = 128 << 10
	// maxWindow is the largest window that `zstd --long` makes by default. It
	// costs nothing here.
	maxWindow = 128 << 20
)

func newUnzstd(opts Options) *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(opts.Parsers), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic("ingest: zstd decoder: " + err.Error()) // the options are constants
	}
	return d
}

// unpackZstd decodes packed into b, which is empty.
func (h *Handler) unpackZstd(ctx context.Context, of *share, packed []byte, b *buffer) error {
	possible := (len(packed)/minZstdBlock + 1) * maxZstdBlock
	limit := min(h.opts.MaxRequest+1, possible)
	for size := zstdSize(packed, limit); ; size *= 2 {
		size = sizeOf(size, limit)
		if err := h.reacquire(ctx, of, b, size); err != nil {
			return err
		}
		if err := h.turns.takeOf(ctx, of.turns, 1); err != nil {
			return err
		}
		out, err := h.decodeZstd(of, packed, b)
		switch {
		case err == nil && len(out) > h.opts.MaxRequest:
			return h.tooLarge()
		case err == nil:
			b.b = append(b.b, out...) // it is there already
			return nil
		case !hitTheEnd(err, size-len(out)):
			return badZstd(err)
		case size < limit:
		case limit == possible:
			return badZstd(err)
		default:
			return h.tooLarge()
		}
	}
}

// decodeZstd decodes packed into b, as far as it has room, and ends the turn that was
// taken for it: who waits for memory keeps nobody waiting who has some.
func (h *Handler) decodeZstd(of *share, packed []byte, b *buffer) ([]byte, error) {
	defer h.turns.giveOf(of.turns, 1)
	return h.unzstd.DecodeAll(packed, b.b)
}

// hitTheEnd reports whether decoding may have failed for want of room, of which
// so much was left. The decoder has no error for a block that does not fit.
func hitTheEnd(err error, room int) bool {
	const slack = 1 << 10 // that the decoder wants behind a block
	return errors.Is(err, zstd.ErrDecoderSizeExceeded) ||
		room < maxZstdBlock+slack && !errors.Is(err, zstd.ErrWindowSizeExceeded)
}

// zstdSize returns how large the first buffer for packed should be.
func zstdSize(packed []byte, limit int) int {
	var header zstd.Header
	if header.Decode(packed) == nil && header.HasFCS {
		return int(min(header.FrameContentSize, uint64(limit)))
	}
	return usualRatio * len(packed)
}

// reacquire replaces b by an empty buffer of size bytes.
func (h *Handler) reacquire(ctx context.Context, of *share, b *buffer, size int) (err error) {
	h.release(b)
	*b, err = h.acquire(ctx, of, size)
	return err
}

func badZstd(err error) error {
	if errors.Is(err, zstd.ErrWindowSizeExceeded) {
		return &refusal{
			status: http.StatusBadRequest, code: "bad_encoding",
			message: "the zstd window is larger than 128 MiB", hint: "pack with a smaller window",
		}
	}
	return asBadEncoding(err, "zstd")
}
