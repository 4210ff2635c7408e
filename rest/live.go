package rest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/sluicelog/sluice/control"
)

const (
	heartbeat = 15 * time.Second
	// reconnect is how long clients are told to wait before they come back.
	reconnect = 2 * time.Second
)

// broadcast sends events while they are accepted, as server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html).
type broadcast struct {
	*control.Live
	api     *API
	allowed func(context.Context) error // nil while the caller may read this
}

func (a *API) followEvents(ctx context.Context, c *call) (answer, error) {
	q, err := c.query("namespace", "phrase", "class", "after")
	if err != nil {
		return answer{}, err
	}
	after := q.Get("after")
	if id := c.Header.Get("Last-Event-ID"); id != "" {
		after = id
	}
	live, err := a.service.Follow(ctx, c.by, q.Get("namespace"), q.Get("phrase"), q.Get("class"), after)
	return answer{http.StatusOK, &broadcast{live, a, a.allowed(c, q.Get("namespace"))}}, err
}

// Stop ends what would go on for long: exports, behind a whole event, and the
// answers to live readers. It may be called more than once.
func (a *API) Stop() { a.stop.Do(func() { close(a.stopping) }) }

func (b *broadcast) serve(w http.ResponseWriter, r *http.Request) {
	defer b.Close()
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("X-Accel-Buffering", "no") // for nginx in front of it
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	err := b.api.transfer(&b.api.readers, w, r, b.send)
	if r.Context().Err() == nil && !errors.Is(err, errStopping) {
		b.api.logger.InfoContext(r.Context(), "live reader cut off", "err", err)
	}
}

// send writes until ctx ends or the reader does not read.
func (b *broadcast) send(ctx context.Context, to *patient) error {
	out := &messages{w: bufio.NewWriterSize(to, exportBuffer)}
	out.text("retry: ", strconv.FormatInt(reconnect.Milliseconds(), 10), "\n")
	looked := time.Time{} // the first message says where the reader is
	for {
		if now := time.Now(); now.Sub(looked) >= heartbeat {
			if err := b.allowed(ctx); err != nil {
				return err
			}
			out.heartbeat(b.Cursor())
			looked = now
		}
		e, gap, err := b.Next(ctx)
		switch {
		case err != nil:
		case gap != nil:
			out.gap(gap, b.Cursor())
		case e != nil:
			out.event(e, b.Cursor())
			b.api.readers.events.Add(1)
		default:
			if err = errors.Join(out.err, out.w.Flush(), to.flush()); err == nil {
				err = b.Wait(ctx, heartbeat)
			}
		}
		if err = errors.Join(err, out.err); err != nil {
			return err
		}
	}
}

// allowed returns what tells whether the token or session of a call is still good
// for reading a namespace: it may be revoked or end, and roles are taken away.
func (a *API) allowed(c *call, namespace string) func(context.Context) error {
	return func(ctx context.Context) error {
		now, err := a.authenticate(c.WithContext(ctx))
		if err != nil {
			return err
		}
		return control.StillReads(c.by, now, namespace)
	}
}

// messages writes server-sent events, and remembers the first error.
type messages struct {
	w   *bufio.Writer
	buf []byte
	err error
}

func (m *messages) text(parts ...string) {
	m.buf = m.buf[:0]
	for _, p := range parts {
		m.buf = append(m.buf, p...)
	}
	m.write()
}

func (m *messages) write() {
	if m.err == nil {
		_, m.err = m.w.Write(m.buf)
	}
}

// heartbeat shows that there is nothing new, and up to where.
func (m *messages) heartbeat(cursor string) { m.text(":\nid: ", cursor, "\n\n") }

// event sends an event: in its JSON is the event as it was accepted, and it has no
// newline.
func (m *messages) event(e *control.ExportedEvent, cursor string) {
	added, err := json.Marshal(struct {
		Source    string `json:"source"`
		Namespace string `json:"namespace"`
	}{e.Source, e.Namespace})
	if err != nil {
		m.err = err
		return
	}
	b := append(m.buf[:0], "id: "...)
	b = append(append(b, cursor...), "\ndata: {\"event\":"...)
	b = append(append(b, e.Payload...), `,"partition":"`...)
	b = append(append(b, e.Partition...), `","seq":`...)
	b = append(strconv.AppendUint(b, e.Seq, 10), `,"accepted_at":"`...)
	b = append(time.UnixMicro(e.Accepted).UTC().AppendFormat(b, time.RFC3339Nano), `",`...)
	m.buf = append(append(b, added[1:]...), "\n\n"...)
	m.write()
}

// missed is what a reader is told that has not seen a part of the log.
type missed struct {
	Partition string `json:"partition"`
	First     uint64 `json:"first_seq"`
	Last      uint64 `json:"last_seq"`
	Events    uint64 `json:"events"`
	Reason    string `json:"reason"`
	Before    string `json:"before"`
}

func (m *messages) gap(g *control.Gap, cursor string) {
	out := missed{g.Partition, g.First, g.Last, g.Events, "behind", g.Before}
	if g.Expired {
		out.Reason = "expired"
	}
	text, err := json.Marshal(out)
	if err != nil {
		m.err = err
		return
	}
	m.text("event: gap\nid: ", cursor, "\ndata: ", string(text), "\n\n")
}
