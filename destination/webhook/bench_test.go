package webhook

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/destination"
)

// sink accepts connections and answers each request of a known size, with as
// little work as can be, so that a benchmark shows the sender.
func sink(b *testing.B) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go swallow(c)
		}
	}()
	return "http://" + l.Addr().String()
}

func swallow(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 256<<10)
	have := 0
	for {
		n, err := c.Read(buf[have:])
		if err != nil {
			return
		}
		have += n
		head := bytes.Index(buf[:have], []byte("\r\n\r\n"))
		if head < 0 {
			continue
		}
		_, after, _ := bytes.Cut(buf[:head], []byte("Content-Length: "))
		var length int
		fmt.Sscanf(string(after[:min(len(after), 10)]), "%d", &length)
		left := length - (have - head - 4)
		for left > 0 {
			if n, err = c.Read(buf); err != nil {
				return
			}
			left -= n
		}
		have = 0
		if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); err != nil {
			return
		}
	}
}

// block returns n events of 1 KB that lie one behind the other.
func block(n int) *destination.Batch {
	line := `{"id":"%08d","event_type":"project_created","details":"` + strings.Repeat("x", 957) + "\"}\n"
	var buf []byte
	for i := range n {
		buf = fmt.Appendf(buf, line, i)
	}
	size := len(buf) / n
	b := &destination.Batch{Stream: 1, Partition: "audit"}
	for i := range n {
		b.Events = append(b.Events, destination.Event{Seq: uint64(i), Hash: uint64(i), Type: "project_created",
			Payload: buf[i*size : (i+1)*size-1]})
	}
	return b
}

func BenchmarkSend(b *testing.B) {
	for _, c := range []struct {
		name   string
		n      int
		signed bool
		fields map[string]any
	}{
		{"ndjson", 1000, false, map[string]any{"format": "ndjson"}},
		{"ndjson signed", 1000, true, map[string]any{"format": "ndjson"}},
		{"array", 1000, false, map[string]any{"format": "array"}},
		{"event x16", 256, false, map[string]any{}},
		{"event x1", 256, false, map[string]any{"concurrency": 1}},
		{"event alone", 1, false, map[string]any{}},
	} {
		b.Run(c.name, func(b *testing.B) {
			secrets := destination.Secrets{VerificationToken: testToken}
			if c.signed {
				secrets[SigningSecret] = testKey
			}
			env := destination.Env{Dialer: destination.NewDialer(destination.DialerConfig{AllowPrivate: true})}
			dst := openAt(b, sink(b), secrets, env, c.fields)
			defer dst.Close()
			batch := block(c.n)
			b.SetBytes(int64(c.n * (len(batch.Events[0].Payload) + 1)))
			b.ReportAllocs()
			for b.Loop() {
				if res := dst.Send(b.Context(), batch); res.Err != nil {
					b.Fatal(res.Err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(c.n), "ns/event")
		})
	}
}
