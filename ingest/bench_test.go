package ingest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/eventlog"
)

// benchEvents returns n events of about 1 KB with ids of their own, one on each
// line, all of one length.
func benchEvents(b *testing.B, n int) []byte {
	b.Helper()
	sample, err := os.ReadFile("../testdata/bench_gitlab.json")
	if err != nil {
		b.Fatal(err)
	}
	sample = bytes.TrimSpace(sample)
	var out []byte
	for i := range n {
		out = fmt.Appendf(out, `{"id":"%036d",`, i)
		rest := sample[1:]
		if at := bytes.Index(rest, []byte(`"id":`)); at == 0 {
			rest = rest[bytes.IndexByte(rest, ',')+1:]
		}
		out = append(append(out, rest...), '\n')
	}
	return out
}

// renew gives the events of body ids that were not there before.
func renew(body []byte, size int, next *int) {
	for at := 0; at < len(body); at += size {
		*next++
		copy(body[at+len(`{"id":"`):], fmt.Appendf(make([]byte, 0, 36), "%036d", *next))
	}
}

// nullDoor takes batches and does nothing with them.
type nullDoor struct {
	producer control.Producer
	out      map[string]eventlog.Appended
}

func (d *nullDoor) Producer(context.Context, string) (*control.Producer, error) {
	return &d.producer, nil
}
func (d *nullDoor) Admit(*control.Producer, int) (time.Duration, bool) { return 0, true }
func (d *nullDoor) Accept(_ context.Context, _ *Producer, batches map[string]*eventlog.Batch) (map[string]eventlog.Appended, error) {
	for name, b := range batches {
		d.out[name] = eventlog.Appended{Accepted: b.Len(), Last: 1}
	}
	return d.out, nil
}

// discard is a response that is not looked at.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

// SetReadDeadline does nothing, as cheaply as it can be done.
func (d discard) SetReadDeadline(time.Time) error { return nil }

// BenchmarkRequest measures the handler without net/http: with a door that does
// nothing, and with a log in memory. Scan and batch alone are BenchmarkScan.
func BenchmarkRequest(b *testing.B) {
	for _, n := range []int{1, 100} {
		for _, door := range []string{"null", "log"} {
			b.Run(fmt.Sprintf("%s/%d", door, n), func(b *testing.B) {
				var d Door = &nullDoor{control.Producer{Source: "tok"}, make(map[string]eventlog.Appended)}
				if door == "log" {
					d = newDoor(b)
				}
				h := New(d, Options{})
				body := benchEvents(b, n)
				size, next := len(body)/n, 0
				reader := bytes.NewReader(body)
				r := request(http.NoBody)
				r.Header.Set("Authorization", "Bearer "+instanceToken)
				r.Body, r.ContentLength = io.NopCloser(reader), int64(len(body))
				w := discard{http.Header{}}
				b.ReportAllocs()
				for b.Loop() {
					if door == "log" {
						renew(body, size, &next)
					}
					reader.Reset(body)
					h.ServeHTTP(w, r)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/event")
				if got, want := h.Stats().Accepted[sluice.Audit], uint64(b.N*n); got < want {
					b.Errorf("got %d accepted, want %d", got, want)
				}
			})
		}
	}
}

// BenchmarkScan is the floor: scanning the same events and adding them to a batch.
func BenchmarkScan(b *testing.B) {
	const n = 100
	body := benchEvents(b, n)
	for _, kept := range []bool{false, true} {
		b.Run(fmt.Sprintf("batch=%v", kept), func(b *testing.B) {
			var s sluice.Scanner
			var batch eventlog.Batch
			var out []byte
			for b.Loop() {
				batch.Reset()
				for at := 0; at < len(body); at++ {
					dst, env, length, err := s.Scan(out[:0], body[at:])
					if err != nil {
						b.Fatal(err)
					}
					if out = dst; kept {
						batch.Add(out, &env, "tok")
					}
					at += length
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/event")
		})
	}
}
