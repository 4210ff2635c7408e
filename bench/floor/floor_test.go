package floor

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func open(t *testing.T) (*Floor, *os.File) {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return New(file), file
}

func submit(t *testing.T, f *Floor, body string) int {
	t.Helper()
	w := httptest.NewRecorder()
	f.ServeHTTP(w, httptest.NewRequest("POST", "/api/v1/events", strings.NewReader(body)))
	return w.Code
}

func TestBadEventsAreRefusedWhole(t *testing.T) {
	for _, body := range []string{"", "{", "{\"a\":1}\n{", "{}\n\n{}"} {
		f, file := open(t)
		if got, want := submit(t, f, body), http.StatusBadRequest; got != want {
			t.Errorf("status of %q: got %d, want %d", body, got, want)
		}
		if info, err := file.Stat(); err != nil || info.Size() != 0 {
			t.Errorf("stored of %q: got %d bytes, %v, want none", body, info.Size(), err)
		}
	}
}

// TestEverythingAcknowledgedIsStoredAndForwardedInOrder posts from several
// goroutines to a floor whose destination refuses every third request.
func TestEverythingAcknowledgedIsStoredAndForwardedInOrder(t *testing.T) {
	const writers, requests, events = 8, 25, 10
	f, file := open(t)
	var got bytes.Buffer // written by the destination, one request at a time
	tries, all := 0, make(chan struct{})
	destination := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tries++; tries%3 == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if _, err := io.Copy(&got, r.Body); err != nil {
			t.Error(err)
		}
		if bytes.Count(got.Bytes(), []byte("\n")) == writers*requests*events {
			close(all)
		}
	}))
	defer destination.Close()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { f.Forward(ctx, destination.URL) })
	var posts sync.WaitGroup
	for writer := range writers {
		posts.Go(func() {
			for request := range requests {
				var body strings.Builder
				for event := range events {
					fmt.Fprintf(&body, "{\"writer\":%d,\"n\":%d}\n", writer, request*events+event)
				}
				if got := submit(t, f, body.String()); got != http.StatusOK {
					t.Errorf("status: got %d, want 200", got)
				}
			}
		})
	}
	posts.Wait()
	<-all
	cancel()
	wg.Wait()
	stored, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), stored) {
		t.Errorf("forwarded: got %d bytes that differ from the %d stored", got.Len(), len(stored))
	}
	next := make([]int, writers)
	for line := range strings.Lines(string(stored)) {
		var writer, n int
		if _, err := fmt.Sscanf(line, `{"writer":%d,"n":%d}`, &writer, &n); err != nil {
			t.Fatal(err)
		}
		if n != next[writer] {
			t.Fatalf("writer %d: got event %d, want %d", writer, n, next[writer])
		}
		next[writer]++
	}
}
