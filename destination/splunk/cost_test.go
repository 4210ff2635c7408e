package splunk

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/destinationtest"
)

// TestThousandsOfStreams bounds what one of many streams costs that delivers now
// and then, and what one costs whose collector hangs.
func TestThousandsOfStreams(t *testing.T) {
	var silent atomic.Bool
	arrived, hang := make(chan struct{}), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		_, _ = io.Copy(io.Discard, q.Body)
		if silent.Load() {
			arrived <- struct{}{}
			<-hang
		}
		_, _ = io.WriteString(w, `{"text":"Success","code":0,"ackId":1}`)
	}))
	defer s.Close()
	defer close(hang)
	env, b := fixedEnv(), destinationtest.Batch(2)
	list := make([]destination.Destination, 500)
	cost := destinationtest.Cost(func() {
		for i := range list {
			list[i] = openAt(t, s.URL, env, map[string]any{"indexer_ack": "off"})
			if res := list[i].Send(t.Context(), b); res.Err != nil {
				t.Fatalf("Send: got %v, want delivered", res.Err)
			}
		}
	}) / int64(len(list))
	if want := int64(8 << 10); cost > want {
		t.Errorf("idle: got %d bytes for a stream, want at most %d", cost, want)
	}
	silent.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	const hanging = 50
	cost = destinationtest.Cost(func() {
		for _, dst := range list[:hanging] {
			wg.Go(func() { dst.Send(ctx, b) })
			<-arrived
		}
	}) / hanging
	// About half of it is the connection, and the receiver's end of it.
	if want := int64(128 << 10); cost > want {
		t.Errorf("hanging: got %d bytes for a stream, want at most %d", cost, want)
	}
	cancel()
	wg.Wait()
	runtime.KeepAlive(list)
	for _, dst := range list {
		dst.Close()
	}
}
