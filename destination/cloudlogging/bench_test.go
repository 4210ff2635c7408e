package cloudlogging

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/cloudlogging/cloudloggingtest"
)

// events returns n events of about 1 KB with the variety of real ones.
func events(n int) []destination.Event {
	r := rand.New(rand.NewPCG(1, 2))
	out := make([]destination.Event, n)
	for i := range out {
		id := fmt.Sprintf("%016x%016x", r.Uint64(), r.Uint64())
		payload := fmt.Appendf(nil, `{"id":"%s","author_id":%d,"entity_id":%d,"entity_type":"Project","details":{"with":"username","target_id":%d,`,
			id, r.IntN(1e6), r.IntN(1e6), r.IntN(1e8))
		for j := range 14 {
			payload = fmt.Appendf(payload, `"field_%d":"value %x of user %d",`, j, r.Uint64(), r.IntN(1e4))
		}
		payload = append(payload, `"event_name":"audit_operation"},"ip_address":"127.0.0.1","event_type":"audit_operation"}`...)
		out[i] = destination.Event{Seq: uint64(i), ID: []byte(id), Type: "audit_operation", Time: time.Unix(1.7e9+int64(i), 123e6), Namespace: "acme/platform/api", Payload: payload}
	}
	return out
}

func BenchmarkPack(b *testing.B) {
	for _, n := range []int{1, 10, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			list := events(n)
			size := 0
			for _, e := range list {
				size += len(e.Payload)
			}
			w := &Writer{packers: new(destination.Packers)}
			var p pack
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				p, _ = w.pack(head("projects/p/logs/l", false), list, 0, func(int, string) {})
			}
			b.ReportMetric(float64(size)/float64(len(p.body)), "ratio")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/event")
		})
	}
}

func BenchmarkSend(b *testing.B) {
	tokens := cloudloggingtest.New(testAccount().Config())
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == cloudloggingtest.TokenPath {
			tokens.ServeHTTP(w, r)
			return
		}
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "{}")
	}))
	b.Cleanup(s.Close)
	dst := openAt(b, s.URL, testSecrets(), loopbackEnv())
	defer dst.Close()
	batch := &destination.Batch{Stream: 1, Partition: "audit", Events: events(1000)}
	b.ReportAllocs()
	for b.Loop() {
		if res := dst.Send(b.Context(), batch); res.Err != nil {
			b.Fatal(res.Err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/event")
}
