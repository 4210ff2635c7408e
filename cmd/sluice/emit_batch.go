package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/sluicelog/sluice/client"
)

const (
	firstWait   = 500 * time.Millisecond
	longestWait = 30 * time.Second
	// longestAsked bounds what a server may ask for with Retry-After.
	longestAsked = 5 * time.Minute
	// stopGrace is how long a request under way is waited for when stopping.
	stopGrace = 5 * time.Second
	// sayAgain is how often a long wait is mentioned.
	sayAgain = time.Minute
	// keptOfLong is how much of a line that is too long is kept, in bytes.
	keptOfLong = 64 << 10
)

// emitter gathers lines into requests and sends them, one at a time: the next is
// sent when the last was answered, so that order is kept and a crash repeats at
// most one.
type emitter struct {
	client   *client.Client
	options  emitOptions
	progress *progress
	rejected *rejectedFile
	state    *state // nil unless a file is followed
	held     *line  // the first line of the next request, when it was read early
	total    emitTotal
	started  time.Time
}

// run sends everything that src yields. It ends with nil at the source's end.
func (e *emitter) run(ctx context.Context, src source) error {
	ctx, cancel := context.WithCancelCause(ctx)
	lines := make(chan line, 256)
	ended := make(chan error, 1)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(lines)
		ended <- src.run(ctx, func(l line) error {
			select {
			case lines <- l:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
	})
	err := e.sendAll(ctx, lines)
	cancel(err)
	if err != nil && e.state == nil {
		return err // a read of standard input cannot be interrupted: the process ends
	}
	reading.Wait()
	if readErr := <-ended; err == nil && readErr != io.EOF {
		err = readErr
	}
	return err
}

func (e *emitter) sendAll(ctx context.Context, lines <-chan line) error {
	for {
		batch, more, err := e.gather(ctx, lines)
		if err != nil {
			return err
		}
		if len(batch) > 0 {
			if err := e.answer(ctx, batch); err != nil {
				return err
			}
			e.progress.update(&e.total)
		}
		if !more {
			return nil
		}
	}
}

// answer sends a batch and notes that it is answered for.
func (e *emitter) answer(ctx context.Context, batch []line) error {
	if e.state == nil {
		return e.send(ctx, batch)
	}
	if err := e.state.begin(batch[0].file); err != nil {
		return err
	}
	if err := e.send(ctx, batch); err != nil {
		return err
	}
	return e.state.acknowledge(batch)
}

// gather collects the lines of a request: as many as are allowed, come within
// the linger, and are of one file.
func (e *emitter) gather(ctx context.Context, lines <-chan line) (batch []line, more bool, err error) {
	var linger <-chan time.Time
	size := int64(0)
	if e.held != nil {
		batch, size, e.held = []line{*e.held}, int64(len(e.held.data)), nil
		linger = time.After(e.options.linger)
	}
	for len(batch) < e.options.events && size < e.options.bytes {
		select {
		case l, ok := <-lines:
			if !ok {
				return batch, false, nil
			}
			if len(batch) > 0 && (l.file != batch[0].file || size+int64(len(l.data)) > e.options.bytes) {
				e.held = &l
				return batch, true, nil
			}
			batch, size = append(batch, l), size+int64(len(l.data))+1
			if linger == nil {
				linger = time.After(e.options.linger)
			}
		case <-linger:
			return batch, true, nil
		case <-ctx.Done():
			return nil, false, context.Cause(ctx)
		}
	}
	return batch, true, nil
}

// send has every line of the batch answered for: stored, or set aside.
func (e *emitter) send(ctx context.Context, batch []line) error {
	var good []line
	var bad []rejection
	for _, l := range batch {
		switch {
		case len(bytes.TrimSpace(l.data)) == 0:
		case len(l.data) > maxLine:
			bad = append(bad, reject(l, client.EventError{Code: "too_large", Message: fmt.Sprintf("the line is longer than %d bytes", maxLine)}))
		default:
			good = append(good, l)
		}
		e.total.Bytes += int64(len(l.data)) + 1
	}
	if err := e.setAside(bad); err != nil || len(good) == 0 {
		return err
	}
	return e.post(ctx, good)
}

func reject(l line, why client.EventError) rejection {
	r := rejection{Offset: l.offset, Code: why.Code, Reason: why.Message, Hint: why.Hint}
	data := l.data
	if len(data) > maxLine {
		data, r.Cut = data[:keptOfLong], true
	}
	if utf8.Valid(data) {
		r.Line = string(data)
	} else {
		r.Base64 = data
	}
	return r
}

func (e *emitter) setAside(bad []rejection) error {
	if len(bad) == 0 {
		return nil
	}
	e.progress.done()
	e.total.Rejected += len(bad)
	return e.rejected.add(bad)
}

// key is the same whenever a request starts with the same line of the same file,
// so that a repetition of it is recognised.
func key(l line) string { return fmt.Sprintf("emit-%s-%d", l.file.ID, l.offset) }

// post sends lines until they are stored or refused for what they are.
func (e *emitter) post(ctx context.Context, lines []line) error {
	var body bytes.Buffer
	for _, l := range lines {
		body.Write(l.data)
		body.WriteByte('\n')
	}
	res, err := e.insist(ctx, body.Bytes(), key(lines[0]))
	if err == nil {
		e.total.Accepted += res.Accepted
		e.total.Duplicates += res.Duplicates
		if e.total.Last == nil {
			e.total.Last = make(map[string]uint64)
		}
		for partition, seq := range res.Last {
			e.total.Last[partition] = max(seq, e.total.Last[partition])
		}
		return nil
	}
	refused, ok := errors.AsType[*client.Error](err)
	if !ok || !aboutEvents(refused) {
		return err
	}
	return e.refused(ctx, lines, refused)
}

// refused sets aside the lines that the answer names and sends the others. When
// it names none, halves are tried until a line is alone.
func (e *emitter) refused(ctx context.Context, lines []line, answer *client.Error) error {
	whole := client.EventError{Code: answer.Code, Message: answer.Message, Hint: answer.Hint}
	if len(lines) == 1 {
		if len(answer.Events) > 0 {
			whole = answer.Events[0]
		}
		return e.setAside([]rejection{reject(lines[0], whole)})
	}
	reasons := make(map[int]client.EventError)
	for _, ev := range answer.Events {
		if ev.Index >= 0 && ev.Index < len(lines) {
			reasons[ev.Index] = ev
		}
	}
	if len(reasons) == 0 {
		half := len(lines) / 2
		if err := e.post(ctx, lines[:half]); err != nil {
			return err
		}
		return e.post(ctx, lines[half:])
	}
	var bad []rejection
	var good []line
	for i, l := range lines {
		if why, is := reasons[i]; is {
			bad = append(bad, reject(l, why))
		} else {
			good = append(good, l)
		}
	}
	if err := e.setAside(bad); err != nil || len(good) == 0 {
		return err
	}
	return e.post(ctx, good)
}

// aboutEvents reports whether an answer is about the events rather than about
// who sent them or the server.
func aboutEvents(e *client.Error) bool {
	return len(e.Events) > 0 || e.Code != client.CodeBadAnswer &&
		slices.Contains([]int{http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity}, e.Status)
}

// insist posts until the server has decided. While it is away or busy it waits,
// and says so.
func (e *emitter) insist(ctx context.Context, body []byte, key string) (client.EventsResult, error) {
	wait := firstWait
	var said time.Time
	for {
		res, err := e.postOnce(ctx, body, key)
		failure, ok := errors.AsType[*client.Error](err)
		if !ok || !failure.Temporary() {
			if err == nil && !said.IsZero() {
				e.progress.say("the server takes events again")
			}
			return res, err
		}
		pause := wait/2 + rand.N(wait/2)
		if failure.RetryAfter > 0 {
			pause = min(failure.RetryAfter, longestAsked)
		}
		if time.Since(said) > sayAgain {
			e.progress.say("waiting: %v", failure)
			said = time.Now()
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return res, context.Cause(ctx)
		}
		wait = min(2*wait, longestWait)
	}
}

// postOnce posts. A request that is under way when ctx ends may still be
// answered within stopGrace, so that a stop repeats nothing.
func (e *emitter) postOnce(ctx context.Context, body []byte, key string) (client.EventsResult, error) {
	posting, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(stopGrace)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel(context.Cause(ctx))
		case <-posting.Done():
		}
	})
	defer stop()
	return e.client.PostEvents(posting, body, key)
}

func encodeLine(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}
