package splunk

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sluicelog/sluice/destination"
)

// BenchmarkSend shows the sender: the receiver does not even unpack. The events
// are of 1 KB and compress to a third, as real ones do.
func BenchmarkSend(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		_, _ = io.Copy(io.Discard, q.Body)
		_, _ = io.WriteString(w, `{"text":"Success","code":0}`)
	}))
	defer s.Close()
	env := fixedEnv()
	for _, n := range []int{1, 30, 800} {
		b.Run(fmt.Sprintf("%d events", n), func(b *testing.B) {
			dst := openAt(b, s.URL, env, map[string]any{})
			defer dst.Close()
			batch, size := block(n)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if res := dst.Send(b.Context(), batch); res.Err != nil {
					b.Fatal(res.Err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/event")
		})
	}
}

func block(n int) (*destination.Batch, int) {
	b := &destination.Batch{Stream: 1, Partition: "audit"}
	size := 0
	for i := range n {
		p := fmt.Appendf(nil, `{"id":"%08d","event_type":"project_created","details":{`, i)
		for k := 0; len(p) < 1000; k++ {
			p = fmt.Appendf(p, `"field_%d":"%x",`, k, uint64(i*97+k)*0x9e3779b97f4a7c15)
		}
		p = append(p[:len(p)-1], "}}"...)
		size += len(p)
		b.Events = append(b.Events, destination.Event{Seq: uint64(i), Payload: p})
	}
	return b, size
}
