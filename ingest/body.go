package ingest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// eagerBody is how much of a body's announced length is believed: a buffer of
// that size is taken at once, beyond it buffers grow with what has arrived.
const eagerBody = 128 << 10

// intake reads one body. Intakes are used again.
type intake struct {
	wire  wire
	body  buffer // as unpacked
	share *share // of the producer's tenant
}

func (h *Handler) putIntake(in *intake) {
	h.release(&in.body)
	in.wire, in.share = wire{}, nil
	h.intakes.put(in)
}

// read reads and unpacks the body into in.body.
func (h *Handler) read(w http.ResponseWriter, r *http.Request, hd *head, in *intake, began time.Time) error {
	in.wire = wire{
		body: r.Body, control: http.NewResponseController(w), limit: h.opts.MaxRequest,
		began: began, grace: h.opts.Grace, timeout: h.opts.Timeout, rate: h.opts.MinRate,
	}
	in.share = h.shares.of(hd.producer)
	in.wire.start()
	err := h.unpack(r.Context(), hd, in)
	h.stats.wireBytes.Add(uint64(in.wire.n))
	if cause := in.wire.err; cause != nil {
		err = h.brokenBody(cause)
	}
	if err != nil {
		return err
	}
	in.wire.finish()
	h.stats.rawBytes.Add(uint64(len(in.body.bytes())))
	return nil
}

// unpack reads the body by its encoding.
func (h *Handler) unpack(ctx context.Context, hd *head, in *intake) error {
	switch hd.encoding {
	case packedGzip:
		return h.unpackGzip(ctx, in)
	case packedZstd:
		var packed buffer
		defer h.release(&packed)
		if err := h.fill(ctx, in.share, &in.wire, &packed, hd.length); err != nil {
			return err
		}
		return h.unpackZstd(ctx, in.share, packed.bytes(), &in.body)
	}
	return h.fill(ctx, in.share, &in.wire, &in.body, hd.length)
}

// gunzipMemory is what a gzip reader holds: window, tables and a read buffer.
const gunzipMemory = 48 << 10

func (h *Handler) unpackGzip(ctx context.Context, in *intake) error {
	if err := h.bodies.takeOf(ctx, in.share.bodies, gunzipMemory); err != nil {
		return err
	}
	defer h.bodies.giveOf(in.share.bodies, gunzipMemory)
	z := h.gunzips.get()
	defer h.gunzips.put(z)
	err := z.Reset(&in.wire)
	if err == nil {
		err = h.fill(ctx, in.share, z, &in.body, -1)
	}
	if err == io.EOF { //nolint:errorlint // as Reset returns it for an empty body
		return emptyBody()
	}
	return asBadEncoding(err, "gzip")
}

// fill reads from r to its end into b, which is empty. The length is the one
// that was announced, -1 for none.
func (h *Handler) fill(ctx context.Context, of *share, r io.Reader, b *buffer, length int) error {
	limit := h.opts.MaxRequest + 1 // one more tells that there is too much
	var err error
	if *b, err = h.acquire(ctx, of, sizeOf(min(length, eagerBody)+1, limit)); err != nil {
		return err
	}
	for {
		if len(b.b) == cap(b.b) {
			if len(b.b) >= limit {
				return h.tooLarge()
			}
			if err := h.grow(ctx, b, sizeOf(2*cap(b.b), limit)); err != nil {
				return err
			}
		}
		n, err := r.Read(b.b[len(b.b):cap(b.b)])
		b.b = b.b[:len(b.b)+n]
		if err == io.EOF { //nolint:errorlint // readers return it bare
			break
		}
		if err != nil {
			return err
		}
	}
	if len(b.b) >= limit {
		return h.tooLarge()
	}
	return nil
}

// brokenBody says why a body could not be read to its end.
func (h *Handler) brokenBody(cause error) error {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.Is(cause, errOverLimit) || errors.As(cause, &tooLarge):
		return h.tooLarge()
	case errors.Is(cause, os.ErrDeadlineExceeded):
		return &refusal{
			status: http.StatusRequestTimeout, code: "too_slow",
			message: "the body did not arrive in time", hint: "send smaller requests, or pack them by gzip or zstd",
		}
	}
	return &refusal{
		status: http.StatusBadRequest, code: "truncated_body",
		message: "the body ended before its announced end", hint: "send the request again",
	}
}

// asBadEncoding turns what the unpacking itself found into an answer.
func asBadEncoding(err error, name string) error {
	var r *refusal
	if err == nil || errors.As(err, &r) {
		return err
	}
	return &refusal{
		status: http.StatusBadRequest, code: "bad_encoding",
		message: "the body is no whole " + name + " stream",
		hint:    "check that the body is packed as Content-Encoding says, and complete",
	}
}

// wire reads a body as it was sent: no more than limit bytes, no slower than
// allowed. It remembers what went wrong, because unpackers hide it.
type wire struct {
	body    io.Reader
	control *http.ResponseController
	n       int // bytes read
	limit   int
	err     error

	began          time.Time
	grace, timeout time.Duration
	rate           int           // bytes a second
	allowed        time.Duration // what the deadline in force allows, from began
}

var errOverLimit = errors.New("body is over the limit")

// start sets the first deadline. Where there is no connection, in tests above
// all, deadlines have no effect.
func (w *wire) start() {
	w.allowed = w.grace
	_ = w.control.SetReadDeadline(w.began.Add(w.allowed))
}

// finish lifts the deadline: waiting for the log is not the client's fault.
func (w *wire) finish() { _ = w.control.SetReadDeadline(time.Time{}) }

// deadlineStep is how much more time a body must have earned before its deadline
// is set anew.
const deadlineStep = time.Second

// Read implements io.Reader.
func (w *wire) Read(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	earned := min(w.timeout, w.grace+time.Duration(w.n)*time.Second/time.Duration(w.rate))
	if earned >= w.allowed+deadlineStep || earned == w.timeout && w.allowed < earned {
		w.allowed = earned
		_ = w.control.SetReadDeadline(w.began.Add(earned))
	}
	n, err := w.body.Read(p)
	w.n += n
	if w.n > w.limit {
		err = errOverLimit
	}
	if err != nil && err != io.EOF { //nolint:errorlint // readers return it bare
		w.err = err
	}
	return n, err
}
