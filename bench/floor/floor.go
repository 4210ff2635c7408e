// Package floor is the server that Sluice is measured against: what is
// practical without thinking. It checks each event with json.Valid, appends it
// to one file, answers after a shared fsync, and forwards the file to each
// destination in batches. It forgets its offsets when it ends.
package floor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// A Floor accepts events by POST and forwards what it has stored.
type Floor struct {
	file            *os.File
	changed         sync.Cond // its lock guards what follows
	written, synced int64     // bytes
	syncing         bool
}

// New returns a floor that appends to the empty file.
func New(file *os.File) *Floor {
	return &Floor{file: file, changed: sync.Cond{L: &sync.Mutex{}}}
}

// ServeHTTP stores the events of an NDJSON body and answers once they are synced.
func (f *Floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 16<<20))
	body = bytes.TrimSpace(body)
	for line := range bytes.SplitSeq(body, []byte("\n")) {
		if err != nil || !json.Valid(line) {
			http.Error(w, "not NDJSON", http.StatusBadRequest)
			return
		}
	}
	if err := f.commit(append(body, '\n')); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// commit writes b and waits for a sync that covers it, its own or another's.
func (f *Floor) commit(b []byte) error {
	f.changed.L.Lock()
	defer f.changed.L.Unlock()
	n, err := f.file.WriteAt(b, f.written)
	f.written += int64(n)
	for end := f.written; err == nil && f.synced < end; {
		if f.syncing {
			f.changed.Wait()
			continue
		}
		upto := f.written
		f.syncing = true
		f.changed.L.Unlock()
		err = f.file.Sync()
		f.changed.L.Lock()
		f.syncing = false
		if err == nil {
			f.synced = upto
		}
		f.changed.Broadcast()
	}
	return err
}

// Forward posts everything to url in order, one request of at most 1,000 events
// or 1 MiB at a time, until ctx ends.
func (f *Floor) Forward(ctx context.Context, url string) {
	defer context.AfterFunc(ctx, func() {
		f.changed.L.Lock()
		defer f.changed.L.Unlock()
		f.changed.Broadcast()
	})()
	buf, client := make([]byte, 1<<20), &http.Client{Timeout: 30 * time.Second}
	for offset := int64(0); ctx.Err() == nil; {
		n, err := f.read(ctx, buf, offset)
		if err == nil {
			err = post(client, url, buf[:n])
		}
		if err != nil {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		offset += int64(n)
	}
}

// read waits for whole events behind offset and returns how many bytes they have.
func (f *Floor) read(ctx context.Context, buf []byte, offset int64) (end int, err error) {
	f.changed.L.Lock()
	for f.synced <= offset && ctx.Err() == nil {
		f.changed.Wait()
	}
	buf = buf[:min(int64(len(buf)), f.synced-offset)]
	f.changed.L.Unlock()
	_, err = f.file.ReadAt(buf, offset)
	for range 1000 {
		end += bytes.IndexByte(buf[end:], '\n') + 1
	}
	return end, errors.Join(err, ctx.Err())
}

func post(client *http.Client, url string, batch []byte) error {
	resp, err := client.Post(url, "application/x-ndjson", bytes.NewReader(batch))
	if err == nil {
		defer resp.Body.Close()
		if _, err = io.Copy(io.Discard, resp.Body); resp.StatusCode/100 != 2 {
			err = errors.New(resp.Status)
		}
	}
	return err
}
