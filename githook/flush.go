package githook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/sluicelog/sluice/client"
)

const (
	// maxPost bounds one request, in bytes; the spool's largest files take
	// several.
	maxPost  = 1 << 20
	lockPoll = 20 * time.Millisecond
	// maxRefused bounds the record of refused events, in bytes.
	maxRefused = 16 << 20
)

// Sent says what a flush did.
type Sent struct {
	Accepted, Duplicates int
	// Refused counts events that the server will never take; they are kept in
	// sluice/refused.ndjson with the reason.
	Refused int
}

// Flush sends what is in the spool, the oldest first, until it is empty, the
// server does not take it, or ctx ends. It calls report with a line about each
// request. Only one process sends at a time, so that order is kept.
func (s *Spool) Flush(ctx context.Context, c *client.Client, report func(string)) (Sent, error) {
	f := &flush{spool: s, client: c, report: report}
	files, err := s.files()
	if err != nil || len(files) == 0 {
		return f.sent, err
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return f.sent, err
	}
	defer unlock()
	for {
		files, err := s.ready()
		if err != nil || len(files) == 0 {
			return f.sent, err
		}
		if err := f.group(ctx, files); err != nil {
			return f.sent, err
		}
	}
}

// lock waits for the right to send. It is the kernel's lock of an open file, so
// that it ends with the process.
func (s *Spool) lock(ctx context.Context) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(s.dir, "lock"), os.O_CREATE|os.O_RDWR, s.fileMode())
	if err != nil {
		return nil, fmt.Errorf("lock spool: %w", err)
	}
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("lock spool: %w", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("another push is still sending: %w", ctx.Err())
		}
	}
}

// flush is a flush in progress.
type flush struct {
	spool  *Spool
	client *client.Client
	report func(string)
	sent   Sent
}

// group sends the first of files together, as many as a request takes and at
// least one, and removes them.
func (f *flush) group(ctx context.Context, files []spoolFile) error {
	var text []byte
	n := 0
	for _, file := range files {
		if n > 0 && int64(len(text))+file.size > maxPost {
			break
		}
		content, err := os.ReadFile(file.path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("read spool: %w", err)
		}
		text = append(text, content...)
		n++
	}
	if err := f.text(ctx, text); err != nil {
		return err
	}
	for _, file := range files[:n] {
		if err := os.Remove(file.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("empty spool: %w", err)
		}
	}
	return nil
}

// text sends NDJSON of any length.
func (f *flush) text(ctx context.Context, text []byte) error {
	var lines [][]byte
	size := 0
	for line := range bytes.Lines(text) {
		if size+len(line) > maxPost && len(lines) > 0 {
			if err := f.post(ctx, lines); err != nil {
				return err
			}
			lines, size = nil, 0
		}
		lines, size = append(lines, line), size+len(line)
	}
	if len(lines) == 0 {
		return nil
	}
	return f.post(ctx, lines)
}

// post sends lines in one request. When the server refuses some for what they
// are, they are set aside and the others sent again.
func (f *flush) post(ctx context.Context, lines [][]byte) error {
	res, err := f.client.PostEvents(ctx, bytes.Join(lines, nil), "")
	if err == nil {
		f.sent.Accepted += res.Accepted
		f.sent.Duplicates += res.Duplicates
		f.report(acceptedLine(lines, res))
		return nil
	}
	e, ok := errors.AsType[*client.Error](err)
	if !ok || !refusesEvents(e) {
		return err
	}
	if len(e.Events) == 0 && len(lines) > 1 {
		half := len(lines) / 2
		if err := f.post(ctx, lines[:half]); err != nil {
			return err
		}
		return f.post(ctx, lines[half:])
	}
	reasons := make(map[int]string)
	for _, ev := range e.Events {
		if ev.Index >= 0 && ev.Index < len(lines) {
			reasons[ev.Index] = ev.Message
		}
	}
	if len(reasons) == 0 {
		if len(lines) > 1 {
			return err
		}
		reasons[0] = e.Message
	}
	if err := f.setAside(lines, reasons); err != nil {
		return err
	}
	var rest [][]byte
	for i, line := range lines {
		if _, refused := reasons[i]; !refused {
			rest = append(rest, line)
		}
	}
	if len(rest) == 0 {
		return nil
	}
	return f.post(ctx, rest)
}

// refusesEvents reports whether e is about what was sent, and not about who sent
// it or about the server.
func refusesEvents(e *client.Error) bool {
	return len(e.Events) > 0 || slices.Contains([]int{http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity}, e.Status)
}

func acceptedLine(lines [][]byte, res client.EventsResult) string {
	var last event
	if err := json.Unmarshal(lines[len(lines)-1], &last); err != nil {
		return fmt.Sprintf("sluice: %d accepted", res.Accepted)
	}
	place := "stored before"
	for partition, seq := range res.Last {
		place = fmt.Sprintf("%s %d", partition, seq)
	}
	return fmt.Sprintf("sluice: %d accepted, the last %s (%s)", res.Accepted, last.ID, place)
}

// setAside writes refused events with their reasons to sluice/refused.ndjson.
func (f *flush) setAside(lines [][]byte, reasons map[int]string) error {
	path := filepath.Join(filepath.Dir(f.spool.dir), "refused.ndjson")
	out, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, f.spool.fileMode())
	if err != nil {
		return fmt.Errorf("set refused event aside: %w", err)
	}
	defer out.Close()
	if info, err := out.Stat(); err != nil || info.Size() > maxRefused {
		return fmt.Errorf("set refused event aside: %s has reached %d bytes: look into it and remove it", path, maxRefused)
	}
	for i, line := range lines {
		reason, refused := reasons[i]
		if !refused {
			continue
		}
		entry, err := json.Marshal(map[string]any{"reason": reason, "event": json.RawMessage(bytes.TrimSpace(line))})
		if err != nil {
			return fmt.Errorf("set refused event aside: %w", err)
		}
		if _, err := out.Write(append(entry, '\n')); err != nil {
			return fmt.Errorf("set refused event aside: %w", err)
		}
		f.sent.Refused++
		f.report(fmt.Sprintf("sluice: refused: %s", reason))
	}
	return out.Sync()
}
