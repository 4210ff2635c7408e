package drill_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/bench/drill"
	"github.com/sluicelog/sluice/client"
)

// shop stands for an S3 server that takes objects, or lets the first one hang. It
// lets everybody in: what is judged is what is put.
type shop struct {
	server *httptest.Server

	mu      sync.Mutex
	waits   bool
	hung    string            // the path of a request that hangs
	objects map[string][]byte // by path, as they were stored
}

func newShop(t *testing.T) *shop {
	s := &shop{objects: map[string][]byte{}}
	s.server = httptest.NewServer(s)
	t.Cleanup(s.server.CloseClientConnections) // those that hang
	return s
}

func (s *shop) config() map[string]any {
	return map[string]any{"bucket": "archive", "region": "eu-central-1", "access_key_id": "drill", "prefix": "audit",
		"endpoint": s.server.URL, "force_path_style": true, "object_seconds": 1}
}

// create makes a stream whose first object hangs.
func (s *shop) create(t *testing.T, srv *drill.Server) sluice.StreamID {
	t.Helper()
	s.waits = true
	config, err := json.Marshal(s.config())
	if err != nil {
		t.Fatal(err)
	}
	made, err := srv.Admin.CreateStream(t.Context(), client.StreamSpec{Namespace: drill.Namespace, Name: "bucket", Kind: "s3", Start: "earliest",
		Config: config, Secrets: map[string]string{"secret_access_key": "drill-secret"}})
	if err != nil {
		t.Fatal(err)
	}
	return made.ID
}

// ServeHTTP stores an object, unless one of its key is there.
func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Method != http.MethodPut {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	s.mu.Lock()
	waits := s.waits
	if waits && s.hung == "" {
		s.hung = r.URL.Path
	}
	_, there := s.objects[r.URL.Path]
	if !waits && !there {
		s.objects[r.URL.Path] = body
	}
	s.mu.Unlock()
	switch {
	case waits:
		<-r.Context().Done()
	case there:
		w.WriteHeader(http.StatusPreconditionFailed)
	default:
		w.Header().Set("ETag", `"stored"`)
	}
}

// hanging waits until an object hangs, and returns the path of its request.
func (s *shop) hanging(t *testing.T) (path string) {
	t.Helper()
	drill.Await(t, "an object to be on its way", func(context.Context) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if path = s.hung; path == "" {
			return errors.New("nothing came")
		}
		return nil
	})
	return path
}

// redirected has the fixture's stream to a bucket deliver here; nil when it has none.
func redirected(t *testing.T, srv *drill.Server, fx *fixture) *shop {
	t.Helper()
	if fx.Bucket == 0 {
		return nil
	}
	s := newShop(t)
	body, err := json.Marshal(map[string]any{"config": s.config()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := srv.Admin.UpdateStream(t.Context(), fx.Bucket, body); err != nil {
		t.Fatal(err)
	}
	return s
}

// judge waits until the bucket has everything, and returns what is wrong: the object
// that was on its way has to come under the same key, and each event once.
func (s *shop) judge(t *testing.T, srv *drill.Server, fx *fixture, acked int) (found []string) {
	t.Helper()
	drill.Await(t, "the bucket to have everything", func(ctx context.Context) error {
		v, err := srv.Admin.Stream(ctx, fx.Bucket)
		if err == nil && (v.Ledger.Pending > 0 || v.Ledger.Delivered < uint64(acked)) {
			_, _ = srv.Admin.RetryStream(ctx, fx.Bucket) // it may not be waiting
			err = fmt.Errorf("%s: %+v", v.Status, v.Ledger)
		}
		return err
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.objects[fx.Object] == nil {
		found = append(found, fmt.Sprintf("bucket: the object %s, which was on its way, did not come under its key", fx.Object))
	}
	times := map[string]int{}
	for path, body := range s.objects {
		zip, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		lines, err := io.ReadAll(zip)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for line := range bytes.Lines(lines) {
			times[string(bytes.TrimSpace(line))]++
		}
	}
	for n := range acked {
		if got := times[string(drill.Event(n))]; got != 1 {
			found = append(found, fmt.Sprintf("bucket: event %d is there %d times", n, got))
		}
	}
	return found
}

// fillFiles posts events, of another tenant, until a file of the log is full.
// They hold the same noise: a compressed fixture has it once.
func fillFiles(t *testing.T, s *drill.Server) {
	t.Helper()
	var noise []byte
	for n := 0; len(noise) < 24<<10; n++ {
		noise = append(noise, drill.Event(n)[100:400]...)
	}
	for n := range 250 {
		event := fmt.Sprintf(`{"id":"filler-%d","event_type":"user.add","entity_path":"filler","text":%q}`, n, noise)
		if _, err := s.Admin.PostEvents(t.Context(), []byte(event), ""); err != nil {
			t.Fatal(err)
		}
	}
}
