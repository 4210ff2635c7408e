package cloudlogging

import (
	"net/http"
	"runtime"
	"testing"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/destinationtest"
)

// TestThousandsOfStreams bounds what one of many streams costs that delivers now
// and then.
func TestThousandsOfStreams(t *testing.T) {
	dst := scripted(t, func(http.ResponseWriter, *http.Request) {})
	url := dst.(*Writer).config.endpoint()
	env, b := loopbackEnv(), destinationtest.Batch(2)
	list := make([]destination.Destination, 200)
	cost := destinationtest.Cost(func() {
		for i := range list {
			list[i] = openAt(t, url, testSecrets(), env)
			if res := list[i].Send(t.Context(), b); res.Err != nil {
				t.Fatalf("Send: got %v, want delivered", res.Err)
			}
		}
	}) / int64(len(list))
	if want := int64(8 << 10); cost > want {
		t.Errorf("idle: got %d bytes for a stream, want at most %d", cost, want)
	}
	runtime.KeepAlive(list)
	for _, dst := range list {
		dst.Close()
	}
}
