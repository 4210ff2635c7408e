package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/sluicelog/sluice/client"
)

// line is one line of a source.
type line struct {
	data   []byte // without its newline
	offset int64  // where it starts in its file
	end    int64  // where the next one starts
	file   *tracked
}

// source yields lines until its end (io.EOF) or until ctx ends. It calls yield
// with each; yield's error ends it.
type source interface {
	run(ctx context.Context, yield func(line) error) error
}

// emitOptions are the flags of emit.
type emitOptions struct {
	follow   string
	once     bool
	rejected string
	events   int
	bytes    int64
	linger   time.Duration
	poll     time.Duration
	asJSON   bool
}

func emitFlags(fs *flag.FlagSet, env *Env) action {
	o := emitOptions{bytes: mib, linger: 200 * time.Millisecond, poll: 250 * time.Millisecond}
	fs.StringVar(&o.follow, "follow", "", "read `FILE` as it grows, from where the last run stopped")
	fs.BoolVar(&o.once, "once", false, "with --follow: end at the end of the file instead of waiting for more")
	fs.StringVar(&o.rejected, "rejected", "", "`FILE` for refused lines, with the reason; a followed FILE has FILE.rejected")
	fs.IntVar(&o.events, "batch-events", 1000, "most events in a request (`NUMBER`)")
	fs.Var(sizeValue{&o.bytes}, "batch-bytes", "most `SIZE` of a request; one larger event goes alone")
	fs.Var(durationValue{&o.linger}, "linger", "longest `SPAN` that an event waits for others")
	fs.BoolVar(&o.asJSON, "json", false, "print a summary as JSON")
	return withClient(fs, env, func(ctx context.Context, c *client.Client, _ []string) error {
		if o.events < 1 || o.bytes < 1 {
			return usagef("--batch-events and --batch-bytes must be more than 0")
		}
		if o.once && o.follow == "" {
			return usagef("--once needs --follow")
		}
		return emit(ctx, env, c, o)
	})
}

// emit sends what the chosen source yields.
func emit(ctx context.Context, env *Env, c *client.Client, o emitOptions) error {
	e := &emitter{client: c, options: o, progress: newProgress(env), rejected: &rejectedFile{path: o.rejected, stderr: env.Stderr}, started: time.Now()}
	src, err := e.open(env)
	if err != nil {
		return err
	}
	defer e.rejected.close()
	if e.state != nil {
		defer e.state.close()
	}
	err = e.run(ctx, src)
	e.progress.done()
	interrupted := ctx.Err() != nil && errors.Is(err, context.Cause(ctx))
	if interrupted && o.follow != "" {
		err = nil // being stopped is how following ends
	}
	if reportErr := e.report(env, err); reportErr != nil {
		return reportErr
	}
	if interrupted && err != nil {
		return fmt.Errorf("interrupted: %d lines were read and answered", e.total.lines())
	}
	if err == nil && e.total.Rejected > 0 {
		return silentError{}
	}
	return err
}

func (e *emitter) open(env *Env) (source, error) {
	if e.options.follow == "" {
		return &reader{in: env.Stdin, file: &tracked{ID: rand.Text()}}, nil
	}
	path, err := filepath.Abs(e.options.follow)
	if err != nil {
		return nil, fmt.Errorf("follow: %w", err)
	}
	if e.rejected.path == "" {
		e.rejected.path = path + ".rejected"
	}
	if e.state, err = openState(path + ".offset"); err != nil {
		return nil, err
	}
	return &follower{path: path, state: e.state, once: e.options.once, poll: e.options.poll, say: e.progress.say}, nil
}

// emitTotal is what emit did.
type emitTotal struct {
	Accepted   int               `json:"accepted"`
	Duplicates int               `json:"duplicates"`
	Rejected   int               `json:"rejected"`
	Bytes      int64             `json:"bytes"`
	Last       map[string]uint64 `json:"last"`
	Seconds    float64           `json:"seconds"`
	Error      string            `json:"error,omitempty"`
}

func (t *emitTotal) lines() int { return t.Accepted + t.Duplicates + t.Rejected }

func (e *emitter) report(env *Env, err error) error {
	e.total.Seconds = time.Since(e.started).Seconds()
	if e.options.asJSON {
		if err != nil {
			e.total.Error = err.Error()
		}
		return writeJSON(env.Stdout, e.total)
	}
	text := fmt.Sprintf("%d accepted", e.total.Accepted)
	if e.total.Duplicates > 0 {
		text += fmt.Sprintf(", %d stored before", e.total.Duplicates)
	}
	if e.total.Rejected > 0 {
		text += fmt.Sprintf(", %d refused", e.total.Rejected)
		if e.rejected.path != "" {
			text += " (see " + e.rejected.path + ")"
		}
	}
	_, werr := fmt.Fprintf(env.Stderr, "sluice: %s\n", text)
	return werr
}

// maxLine is the size in bytes beyond which a line is refused unread: more than
// any server takes.
const maxLine = 32 << 20

// reader yields the lines of a stream that ends.
type reader struct {
	in   io.Reader
	file *tracked
}

func (r *reader) run(_ context.Context, yield func(line) error) error {
	s := newSplitter(r.in, 0)
	for {
		data, offset, err := s.next()
		if err == io.EOF {
			data, offset = s.rest()
		} else if err != nil {
			return fmt.Errorf("read standard input: %w", err)
		}
		if len(data) > 0 {
			if yieldErr := yield(line{data: data, offset: offset, end: s.offset, file: r.file}); yieldErr != nil {
				return yieldErr
			}
		}
		if err == io.EOF {
			return io.EOF
		}
	}
}

// splitter cuts a stream into lines and knows where each starts. A line that is
// too long comes cut to maxLine+1 bytes.
type splitter struct {
	in      io.Reader
	buf     []byte // read and not yet given out
	scanned int    // bytes of buf without a newline
	offset  int64  // where buf starts
	dropped int64  // bytes cut from the line at the start of buf
	tail    []byte // the last that were read, up to maxBefore
	chunk   []byte
}

func newSplitter(in io.Reader, offset int64) *splitter {
	return &splitter{in: in, offset: offset, chunk: make([]byte, 64<<10)}
}

// next returns the next line without its newline, and io.EOF when there is none
// yet; more may follow later.
func (s *splitter) next() (data []byte, offset int64, err error) {
	for {
		for i := s.scanned; i < len(s.buf); i++ {
			if s.buf[i] == '\n' {
				data, offset = s.take(i, 1)
				return data, offset, nil
			}
		}
		s.scanned = len(s.buf)
		if len(s.buf) > maxLine+1 {
			s.dropped += int64(len(s.buf) - maxLine - 1)
			s.buf = s.buf[:maxLine+1]
			s.scanned = len(s.buf)
		}
		n, err := s.in.Read(s.chunk)
		s.buf = append(s.buf, s.chunk[:n]...)
		s.tail = append(s.tail, s.chunk[max(0, n-maxBefore):n]...)
		s.tail = s.tail[max(0, len(s.tail)-maxBefore):]
		if n == 0 && err != nil {
			return nil, 0, err
		}
	}
}

// position returns how far the stream was read.
func (s *splitter) position() int64 { return s.offset + s.dropped + int64(len(s.buf)) }

// read describes how far the stream was read, and what stands there.
func (s *splitter) read() *tracked { return &tracked{Offset: s.position(), Before: s.tail} }

// rest gives out what stands behind the last newline.
func (s *splitter) rest() ([]byte, int64) { return s.take(len(s.buf), 0) }

func (s *splitter) take(n, newline int) (data []byte, offset int64) {
	data, offset = append([]byte(nil), s.buf[:min(n, maxLine+1)]...), s.offset
	s.buf = append(s.buf[:0], s.buf[n+newline:]...)
	s.offset += int64(n+newline) + s.dropped
	s.scanned, s.dropped = 0, 0
	return data, offset
}

// rejectedFile takes refused lines: a file, or standard error.
type rejectedFile struct {
	path   string
	stderr io.Writer
	file   *os.File
}

// rejection is one line of FILE.rejected.
type rejection struct {
	Offset int64  `json:"offset"`
	Code   string `json:"code,omitempty"`
	Reason string `json:"reason"`
	Hint   string `json:"hint,omitempty"`
	// Line is the refused line; when it is not UTF-8 its bytes are in Base64,
	// and when it is too long only its start is kept.
	Line   string `json:"line,omitempty"`
	Base64 []byte `json:"line_base64,omitempty"`
	Cut    bool   `json:"cut,omitempty"`
}

func (r *rejectedFile) add(list []rejection) error {
	out := r.stderr
	if r.path != "" {
		if r.file == nil {
			f, err := os.OpenFile(r.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
			if err != nil {
				return fmt.Errorf("set refused lines aside: %w", err)
			}
			r.file = f
		}
		out = r.file
	}
	for _, entry := range list {
		text, err := encodeLine(entry)
		if err == nil {
			_, err = out.Write(text)
		}
		if err != nil {
			return fmt.Errorf("set refused lines aside: %w", err)
		}
	}
	if r.file == nil {
		return nil
	}
	if err := r.file.Sync(); err != nil {
		return fmt.Errorf("set refused lines aside: %w", err)
	}
	return nil
}

func (r *rejectedFile) close() {
	if r.file != nil {
		r.file.Close()
	}
}

// progress draws one line that is written over, on a terminal only. The reader of a
// followed file and the sender both use it.
type progress struct {
	env *Env

	mu    sync.Mutex // held while something is written, so that lines stay whole
	shown bool
	next  time.Time
}

func newProgress(env *Env) *progress { return &progress{env: env} }

func (p *progress) update(t *emitTotal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); p.env.Terminal && now.After(p.next) {
		p.next, p.shown = now.Add(200*time.Millisecond), true
		fmt.Fprintf(p.env.Stderr, "\r\x1b[K%d accepted, %d refused, %s", t.Accepted+t.Duplicates, t.Rejected, roundSize(t.Bytes))
	}
}

// say prints a line of its own.
func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	fmt.Fprintf(p.env.Stderr, "sluice: "+format+"\n", args...)
}

func (p *progress) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
}

// erase removes the line that is drawn. The caller holds p.mu.
func (p *progress) erase() {
	if p.shown {
		fmt.Fprint(p.env.Stderr, "\r\x1b[K")
		p.shown = false
	}
}

func roundSize(n int64) string {
	switch {
	case n >= 10*mib:
		return strconv.FormatInt(n/mib, 10) + " MiB"
	case n >= 10<<10:
		return strconv.FormatInt(n>>10, 10) + " KiB"
	}
	return strconv.FormatInt(n, 10) + " bytes"
}
