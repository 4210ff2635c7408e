package rest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

const (
	exportBuffer = 64 << 10
	// flushEvery is how long what is found waits for more.
	flushEvery = time.Second
)

// Headers and trailers of exports.
const (
	headerEstimate = "Sluice-Estimate" // about how many events there are
	trailerEvents  = "Sluice-Events"   // how many were sent
	trailerMissing = "Sluice-Missing"  // how many were found and could not be read
	trailerCursor  = "Sluice-Cursor"   // where an export of what came since begins
)

// download is an export that is under way.
type download struct {
	*control.Export
	api      *API
	allowed  func(context.Context) error // nil while the caller may read this
	gzip     bool                        // the body is compressed
	file     bool                        // the file is: compression was asked for by name
	estimate string
}

func (a *API) exportEvents(ctx context.Context, c *call) (answer, error) {
	q, err := c.query("namespace", "phrase", "class", "from", "to", "format", "compression", "after", "after_id")
	if err != nil {
		return answer{}, err
	}
	d := &download{api: a, allowed: a.allowed(c, q.Get("namespace"))}
	switch q.Get("compression") {
	case "":
		d.gzip = acceptsGzip(c.Header)
	case "gzip":
		d.gzip, d.file = true, true
	default:
		return answer{}, sluice.Errorf(sluice.Invalid, "compression must be %q", "gzip").WithHint("leave it out for events as they are")
	}
	d.Export, err = a.service.Export(ctx, c.by, control.ExportQuery{
		Namespace: q.Get("namespace"), Phrase: q.Get("phrase"), Class: q.Get("class"), From: q.Get("from"), To: q.Get("to"),
		Format: q.Get("format"), After: q.Get("after"), AfterID: q.Get("after_id"),
	})
	if err != nil {
		return answer{}, err
	}
	if n, ok := d.Estimate(ctx); ok {
		d.estimate = strconv.FormatUint(n, 10)
	}
	if c.Method == http.MethodHead {
		return ok(d)
	}
	if err := d.Start(ctx); err != nil {
		d.Close()
		return answer{}, err
	}
	return ok(d)
}

// acceptsGzip reports whether a client wants its answers compressed.
func acceptsGzip(h http.Header) bool {
	for _, coding := range strings.Split(strings.Join(h.Values("Accept-Encoding"), ","), ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(coding), ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			_, q, _ := strings.Cut(weight, "=")
			v, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
			return err != nil || v > 0
		}
	}
	return false
}

// serve sends the events. When that fails, the connection is cut off, so that
// nobody takes a part for the whole.
func (d *download) serve(w http.ResponseWriter, r *http.Request) {
	defer d.Close()
	d.header(w.Header())
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	n := 0
	err := d.api.transfer(&d.api.exports, w, r, func(ctx context.Context, to *patient) (err error) {
		n, err = d.send(ctx, to)
		return err
	})
	if err != nil {
		about := []any{"export", d.Name, "events", n, "err", err}
		if _, unsent := errors.AsType[*unsentError](err); !unsent {
			about = append(about, "cursor", d.Cursor()) // behind all that was sent
		}
		d.api.logger.InfoContext(r.Context(), "export cut off", about...)
		reset(w, r)
		panic(http.ErrAbortHandler)
	}
	h := w.Header()
	h.Set(trailerEvents, strconv.Itoa(n))
	h.Set(trailerMissing, strconv.Itoa(d.Missing()))
	h.Set(trailerCursor, d.Cursor())
}

func (d *download) header(h http.Header) {
	contentType, name := "application/x-ndjson", d.Name+"."+d.Format
	switch d.Format {
	case control.ExportJSON:
		contentType = "application/json; charset=utf-8"
	case control.ExportCSV:
		contentType = "text/csv; charset=utf-8; header=present"
	}
	switch {
	case d.file:
		contentType, name = "application/gzip", name+".gz"
	case d.gzip:
		h.Set("Content-Encoding", "gzip")
	}
	if !d.file {
		h.Add("Vary", "Accept-Encoding")
	}
	h.Set("Content-Type", contentType)
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	h.Set("Trailer", trailerEvents+", "+trailerMissing+", "+trailerCursor)
	if d.estimate != "" {
		h.Set(headerEstimate, d.estimate)
	}
}

// send writes all events and returns how many those were. What was written when
// the server stops ends behind a whole event.
func (d *download) send(ctx context.Context, to *patient) (n int, err error) {
	out, err := d.pipe(to)
	if err != nil {
		return 0, err
	}
	form := newExportForm(d.Format, out.buf)
	if err := form.begin(); err != nil {
		return 0, err
	}
	counted, flushed := 0, time.Now()
	count := func() { d.api.exports.events.Add(uint64(n - counted)); counted = n }
	defer count()
	for {
		e, err := d.Next(ctx)
		if errors.Is(err, io.EOF) {
			return n, errors.Join(form.end(), out.close())
		}
		if err != nil && errors.Is(context.Cause(ctx), errStopping) {
			return n, errors.Join(errStopping, out.flush())
		}
		if err == nil {
			err = form.event(e)
		}
		if err != nil {
			return n, err
		}
		n++
		if now := time.Now(); now.Sub(flushed) >= flushEvery {
			flushed = now
			count()
			if err := errors.Join(out.flush(), d.allowed(ctx)); err != nil {
				return n, err
			}
		}
	}
}

// pipe returns what takes the export to a client.
func (d *download) pipe(to *patient) (*pipe, error) {
	out := &pipe{to: to, buf: bufio.NewWriterSize(to, exportBuffer)}
	if d.gzip {
		var err error
		if out.gz, err = gzip.NewWriterLevel(to, gzip.BestSpeed); err != nil {
			return nil, err
		}
		out.buf.Reset(out.gz)
	}
	return out, nil
}

// pipe takes what an export writes to the client.
type pipe struct {
	buf *bufio.Writer
	gz  *gzip.Writer // nil unless the body is compressed
	to  *patient
}

func (p *pipe) flush() error {
	if err := p.buf.Flush(); err != nil {
		return err
	}
	if p.gz != nil {
		if err := p.gz.Flush(); err != nil {
			return err
		}
	}
	return p.to.flush()
}

func (p *pipe) close() error {
	if err := p.buf.Flush(); err != nil {
		return err
	}
	if p.gz != nil {
		if err := p.gz.Close(); err != nil {
			return err
		}
	}
	return p.to.flush()
}
