package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/eventlog"
)

// countingDoor counts what is handed to the log.
type countingDoor struct {
	memoryDoor
	events int
}

func (d *countingDoor) Admit(*control.Producer, int) (time.Duration, bool) { return 0, true }

func (d *countingDoor) Accept(_ context.Context, _ *Producer, batches map[string]*eventlog.Batch) (map[string]eventlog.Appended, error) {
	out := make(map[string]eventlog.Appended)
	for name, b := range batches {
		d.events += b.Len()
		out[name] = eventlog.Appended{Accepted: b.Len(), Last: uint64(d.events)}
	}
	return out, nil
}

// objects returns how many JSON values a body holds, by the standard library.
func objects(body []byte) (int, error) {
	if trimmed := bytes.TrimLeft(body, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '[' {
		var all []json.RawMessage
		err := json.Unmarshal(body, &all)
		return len(all), err
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	for n := 0; ; n++ {
		var one json.RawMessage
		if err := dec.Decode(&one); errors.Is(err, io.EOF) {
			return n, nil
		} else if err != nil {
			return n, err
		}
	}
}

// FuzzBody posts bodies: no panic, nothing handed on when the request is refused,
// and as many events accepted as the body has objects.
func FuzzBody(f *testing.F) {
	for _, body := range []string{
		"", " ", good, "[" + good + "]", "[]", "[" + good + "," + goodGit + " ]\n", good + "\n\n" + goodGit + "\r\n",
		good + goodGit, good + " x", "[" + good + ",", "[" + good + "]x", typeles + "\n" + good, "{\n\"a\":\n" + good, `"x"`, "\x1f\x8b",
	} {
		f.Add([]byte(body), uint8(0))
	}
	f.Add([]byte(gzipped(f, good)), uint8(1))
	f.Add([]byte(zstded(f, good)), uint8(2))
	f.Add([]byte(zstdHeader(0x50, 200<<10, 10)), uint8(2))
	f.Fuzz(func(t *testing.T, body []byte, encoding uint8) {
		d := &countingDoor{}
		h := New(d, Options{MaxRequest: 64 << 10, MaxEvent: 4 << 10})
		name := [...]string{"identity", "gzip", "zstd"}[encoding%3]
		w := httptest.NewRecorder()
		h.ServeHTTP(w, request(bytes.NewReader(body), "Content-Encoding", name, "Idempotency-Key", "k"))
		r := decodeReply(t, w.Code, w.Header(), w.Body)
		if h.Stats().Memory != 0 {
			t.Errorf("got %d bytes held, want 0", h.Stats().Memory)
		}
		if r.status != http.StatusOK {
			if d.events != 0 {
				t.Errorf("got %d events handed on and %d %s, want none", d.events, r.status, r.text)
			}
			if r.status >= 500 || r.Error.Code == "invalid_events" && (r.Error.Total == 0 || len(r.Error.Events) == 0) {
				t.Errorf("got %d %s, want a reason", r.status, r.text)
			}
			return
		}
		if name != "identity" {
			return
		}
		want, err := objects(body)
		if err != nil || r.Accepted != want || d.events != want {
			t.Errorf("got %d accepted and %d handed on, want %d (%v)", r.Accepted, d.events, want, err)
		}
	})
}
