package cloudlogging

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/sluicelog/sluice/destination"
)

// Limits of a batch and of a request.
const (
	// RequestTimeout bounds one request, its answer included.
	RequestTimeout = 30 * time.Second
	maxEvents      = 1000
	maxBytes       = 5 << 20
)

// Writer writes to one log of a project. It implements
// [destination.Destination].
type Writer struct {
	config    Config
	url       *url.URL
	head      string      // of every request's body
	header    http.Header // of every request, never changed
	tokens    *tokens
	env       destination.Env
	transport *http.Transport // shared
	release   func()          // gives up the share
	packers   *destination.Packers
}

var _ destination.Destination = (*Writer)(nil)

func newWriter(c Config, a account, env destination.Env, packers *destination.Packers) (*Writer, error) {
	u, err := url.Parse(c.endpoint() + "/v2/entries:write")
	if err != nil {
		return nil, fmt.Errorf("open cloudlogging destination: %w", err)
	}
	if env.Now == nil {
		env.Now = time.Now
	}
	if env.UserAgent == "" {
		env.UserAgent = "Sluice"
	}
	if packers == nil {
		packers = new(destination.Packers)
	}
	transport, release := destination.SharedTransport(env, false)
	w := &Writer{
		config: c, url: u, head: head(c.logName(), false), env: env, transport: transport, release: release, packers: packers,
		header: http.Header{"User-Agent": {env.UserAgent}, "Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}},
		tokens: &tokens{
			account: a, url: c.tokenURL(), transport: transport, userAgent: env.UserAgent, now: env.Now,
			turn: make(chan struct{}, 1),
		},
	}
	w.tokens.turn <- struct{}{}
	return w, nil
}

// Format shows which log is written to, and nothing of the account's key.
func (w *Writer) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, "cloudlogging "+w.config.logName())
}

// Limits bounds batches; the timeout is for a token and one request.
func (w *Writer) Limits() destination.Limits {
	return destination.Limits{Events: maxEvents, Bytes: maxBytes, Timeout: 2 * RequestTimeout}
}

// Send writes the batch with partialSuccess, as one request, or more when it
// would be beyond [MaxRequest]. Entries beyond [MaxEntry] are rejected without
// being sent. When Google names the entries it refuses, those are rejected or
// stay unsent, as their codes say, and the others are delivered. When it writes
// nothing it names none, and the batch is refused as a whole.
//
// A token that was kept from an earlier Send and is refused (401) is replaced
// once.
func (w *Writer) Send(ctx context.Context, b *destination.Batch) destination.Result {
	s := newSending(len(b.Events))
	for next := 0; next < len(b.Events); {
		var p pack
		p, next = w.pack(w.head, b.Events, next, s.tooLarge)
		if len(p.sent) == 0 {
			continue // all of them were too large
		}
		answer, err := w.write(ctx, p)
		if !s.settle(p.sent, answer, err) {
			break
		}
	}
	return s.result()
}

// Close implements [destination.Destination]. It is called once.
func (w *Writer) Close() error {
	w.release()
	return nil
}

// sending is a Send under way.
type sending struct {
	outcomes  []destination.Outcome
	reasons   map[int]string
	err       *destination.Error // what is wrong with requests and entries
	oversize  *destination.Error // the first event that was not sent
	delivered int
	whole     bool // a request was refused without a word about its entries
}

func newSending(n int) *sending {
	return &sending{outcomes: make([]destination.Outcome, n), reasons: map[int]string{}}
}

func (s *sending) reject(i int, why string) {
	s.outcomes[i], s.reasons[i] = destination.Rejected, why
}

func (s *sending) tooLarge(i int, why string) {
	s.reject(i, why)
	if s.oversize == nil {
		s.oversize = &destination.Error{Class: destination.RejectedBatch, Message: why, TooLarge: true}
	}
}

// settle notes what became of the events of one request and reports whether to
// go on with another one.
func (s *sending) settle(sent []int, named map[int]entryError, err *destination.Error) bool {
	if err != nil && named == nil {
		s.err = err
		if s.whole = len(sent) > 1; !s.whole && err.Class == destination.RejectedBatch {
			s.reject(sent[0], err.Message)
		}
		return false
	}
	for entry, i := range sent {
		e, failed := named[entry]
		switch {
		case !failed:
			s.outcomes[i] = destination.Delivered
			s.delivered++
		case e.class == destination.RejectedBatch:
			s.reject(i, e.message)
		}
	}
	s.err = err
	return err == nil
}

// result tells the outcome of each event, unless it is the same for all. A whole
// refusal of several events is told as that of the batch, for the caller to
// split; once others were delivered there is progress, and the rest is unsent.
func (s *sending) result() destination.Result {
	switch {
	case s.err == nil && s.oversize == nil:
		return destination.Result{}
	case s.err == nil:
		return destination.Result{Err: s.oversize, Events: s.outcomes, Reasons: s.reasons}
	case s.delivered == 0 && (s.whole || len(s.reasons) == 0):
		return destination.Result{Err: s.err}
	}
	return destination.Result{Err: s.err, Events: s.outcomes, Reasons: s.reasons}
}
