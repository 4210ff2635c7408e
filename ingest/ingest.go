// Package ingest is the surface that producers post events to.
//
// A request is taken in four steps, each of which bounds what the next may cost.
// The head is judged first: method, token, encoding. The body is then read into
// one buffer that grows with what arrives, under a budget of bytes that all
// requests share. One pass over the buffer validates every event and fills
// batches; a request with a bad event ends there, with every bad event named and
// nothing stored. Only then are the batches handed to the [Door], and the answer
// leaves when that has made them durable.
//
// A request whose events do not fit into a batch of bounded size is validated as
// a whole and then appended piece by piece, by going through the rest of its
// body again: validation is all or nothing, memory stays bounded.
package ingest

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/eventlog"
)

// Producer is who posts; see [control.Producer].
type Producer = control.Producer

// Door is what ingest needs of the use cases. Its methods may be called at once,
// and their errors that a producer may read are *[sluice.Error].
type Door interface {
	// Producer returns who posts with this token, and an error with the code
	// sluice.Unauthorized when nobody does.
	Producer(ctx context.Context, token string) (*control.Producer, error)

	// Admit asks whether p may post this many events now. When it may not, ok
	// is false and wait says after how long to ask again.
	Admit(p *control.Producer, events int) (wait time.Duration, ok bool)

	// Accept stores the batches, by partition, and returns when every event in
	// them is durable. It keeps nothing of them.
	Accept(ctx context.Context, p *control.Producer, batches map[string]*eventlog.Batch) (map[string]eventlog.Appended, error)
}

// Options are the limits of the surface. The zero value of each stands for its
// default.
type Options struct {
	// MaxRequest is the largest body, in bytes, as sent and unpacked: 16 MiB.
	MaxRequest int
	// MaxEvent is the largest event, in bytes: sluice.DefaultMaxEvent.
	MaxEvent int
	// Memory bounds what all requests in progress hold together, in bytes:
	// 64 MiB. Five eighths are for bodies, the rest for events on their way to
	// the log. It is raised to what one request of MaxRequest bytes takes. The
	// producers of one tenant hold a part of it: see shares.
	Memory int
	// Timeout is how long a body may take to arrive: 60 s.
	Timeout time.Duration
	// MinRate is the least average rate, in bytes a second, at which a body has
	// to arrive after Grace: 8 KiB.
	MinRate int
	// Grace is how long a body may take in any case: 5 s.
	Grace time.Duration
	// Parsers bounds how many requests are unpacked or parsed at once: twice
	// the number of processors. Those of one tenant are three quarters at most.
	Parsers int
	// Allow names the methods that the path takes, whoever answers the others:
	// "POST".
	Allow string
	// Logger gets what producers are not told. By default nothing is logged.
	Logger *slog.Logger
	// Now is the wall clock of the ids that are made.
	Now func() time.Time
}

// maxWait is how long a request waits for memory or for its turn before it is
// told to come back.
const maxWait = time.Second

func (o *Options) setDefaults() {
	o.MaxRequest = defaulted(o.MaxRequest, 16<<20)
	o.MaxEvent = defaulted(o.MaxEvent, sluice.DefaultMaxEvent)
	o.Memory = defaulted(o.Memory, 64<<20)
	o.Timeout = defaulted(o.Timeout, time.Minute)
	o.MinRate = defaulted(o.MinRate, 8<<10)
	o.Grace = min(defaulted(o.Grace, 5*time.Second), o.Timeout)
	o.Parsers = defaulted(o.Parsers, 2*runtime.GOMAXPROCS(0))
	if o.Allow == "" {
		o.Allow = http.MethodPost
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

func defaulted[T int | time.Duration](value, byDefault T) T {
	if value <= 0 {
		return byDefault
	}
	return value
}

// Handler serves POST /api/v1/events. It may be used at once by any number of
// requests, and for any path: it looks at the method only.
type Handler struct {
	door    Door
	opts    Options
	buffers buffers
	intakes pool[intake]
	gunzips pool[gzip.Reader]
	workers [3]pool[worker] // by workClass
	bodies  *budget         // bytes of body buffers
	shares  shares          // of bodies, work and turns
	work    *budget         // bytes of workers
	turns   *budget         // one for each request that is unpacked or parsed
	unzstd  *zstd.Decoder   // decodes whole buffers; it has no goroutines
	ids     *idSource
	stats   counters

	contentType []string // shared by all answers, never changed
}

var _ Door = (*control.Service)(nil)

// New returns the surface in front of door.
func New(door Door, opts Options) *Handler {
	opts.setDefaults()
	// Growing to the full size holds the old buffer and the new one, as unpacking
	// holds the packed body and the unpacked one.
	largest := 2*opts.MaxRequest + 2*minBuffer
	bodies := max(opts.Memory/8*5, largest)
	class := workClasses[len(workClasses)-1].memory
	work := max(opts.Memory/8*3, class)
	h := &Handler{
		door: door, opts: opts, ids: newIDSource(), stats: newCounters(),
		bodies:      newBudget(bodies),
		work:        newBudget(work),
		shares:      shares{bodies: max(bodies/2, largest), work: max(work-class, class), turns: max(1, opts.Parsers*3/4), all: map[string]*share{}},
		turns:       newBudget(opts.Parsers),
		contentType: []string{"application/json"},
	}
	h.unzstd = newUnzstd(opts)
	return h
}

// ServeHTTP answers with 200 only after every event of the request is durable.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	status := http.StatusOK
	if err := h.serve(w, r, began); err != nil {
		status = h.refuse(w, r, err)
	}
	h.stats.request(status, time.Since(began))
}

// serve takes the request in and answers it, or says why not.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, began time.Time) error {
	hd, err := h.head(r)
	if err != nil {
		return err
	}
	in := h.intakes.get()
	defer h.putIntake(in)
	if err := h.read(w, r, &hd, in, began); err != nil {
		return err
	}
	return h.store(w, r, &hd, in)
}

// store parses the body and appends its events, and answers.
func (h *Handler) store(w http.ResponseWriter, r *http.Request, hd *head, in *intake) error {
	ctx := r.Context()
	wk, err := h.hire(ctx, in.share, len(in.body.bytes()))
	if err != nil {
		return err
	}
	defer h.dismiss(wk)
	wk.begin(h, hd)
	if err := h.parse(ctx, in.share, wk, in.body.bytes()); err != nil {
		return err
	}
	if err := h.admit(hd.producer, wk.at.index); err != nil {
		return err
	}
	for more := wk.at.index > 0; more; {
		if !wk.full {
			h.release(&in.body) // only what is in the batches is needed
		}
		appended, err := h.door.Accept(ctx, hd.producer, wk.pending())
		if err != nil {
			return partly(err, wk.accepted)
		}
		wk.add(appended)
		h.stats.stored(appended)
		if more, err = h.parseMore(ctx, in.share, wk); err != nil {
			return err
		}
	}
	w.Header()["Content-Type"] = h.contentType
	_, _ = w.Write(wk.answer()) // a producer that is gone asks again
	return nil
}

// partly returns err with what is true of a request of which some events are stored:
// refusals say that nothing is.
func partly(err error, stored int) error {
	var e *sluice.Error
	if stored == 0 || !errors.As(err, &e) {
		return err
	}
	return e.WithHint("%d of the request's events were stored before that; send all of it again when it can go on: events with ids, or with an Idempotency-Key, are not stored twice", stored)
}

// parse validates the body and fills the worker's batches as far as they go.
func (h *Handler) parse(ctx context.Context, of *share, wk *worker, body []byte) error {
	if err := h.turns.takeOf(ctx, of.turns, 1); err != nil {
		return err
	}
	defer h.turns.giveOf(of.turns, 1)
	if wk.parse(body); wk.empty() {
		return emptyBody()
	}
	if wk.bad.total > 0 {
		h.stats.refusedEvents(&wk.bad)
		return wk.bad.refusal(wk.at.index)
	}
	return nil
}

// parseMore fills the batches again with what did not fit in before; false when
// there is nothing left. However busy the server is, it waits: a part of the request
// is stored, and of who sends it again events without ids would be stored twice.
func (h *Handler) parseMore(ctx context.Context, of *share, wk *worker) (bool, error) {
	if !wk.full {
		return false, nil
	}
	if err := h.turns.waitOf(ctx, of.turns, 1); err != nil {
		return false, err
	}
	defer h.turns.giveOf(of.turns, 1)
	wk.refill()
	return len(wk.pending()) > 0, nil
}

func (h *Handler) admit(p *control.Producer, events int) error {
	if events == 0 {
		return nil
	}
	wait, ok := h.door.Admit(p, events)
	if ok {
		return nil
	}
	return &refusal{
		status: http.StatusTooManyRequests, code: string(sluice.RateLimited), wait: wait,
		message: "the token's rate of events is used up",
		hint:    "wait as long as Retry-After says and send the same request again",
	}
}
