package ingest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func gzipped(tb testing.TB, s string) string {
	tb.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(s)); err != nil {
		tb.Fatal(err)
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

func zstded(tb testing.TB, s string, opts ...zstd.EOption) string {
	tb.Helper()
	z, err := zstd.NewWriter(nil, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return string(z.EncodeAll([]byte(s), nil))
}

// zstdStream packs s as a writer does that does not know the length beforehand.
func zstdStream(tb testing.TB, s string, opts ...zstd.EOption) string {
	tb.Helper()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	for _, part := range []string{s[:len(s)/2], s[len(s)/2:]} {
		if _, err := z.Write([]byte(part)); err != nil {
			tb.Fatal(err)
		}
		if err := z.Flush(); err != nil {
			tb.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

// zstdHeader is a frame that claims window and content size and holds one run
// length block of n zeros, or nothing when n is negative.
func zstdHeader(window byte, content uint64, n int) string {
	b := []byte{0x28, 0xb5, 0x2f, 0xfd, 0xc0, window}
	b = binary.LittleEndian.AppendUint64(b, content)
	if n >= 0 {
		head := uint32(n)<<3 | 1<<1 | 1
		b = append(b, byte(head), byte(head>>8), byte(head>>16), 0)
	}
	return string(b)
}

// lines returns n events of some 1 KB, one on each line.
func lines(n int) string {
	random := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"id":"%d","event_type":"project_created","entity_path":"acme/web","details":"`, i)
		for range 55 {
			fmt.Fprintf(&b, "%016x ", random.Uint64())
		}
		b.WriteString("\"}\n")
	}
	return b.String()
}

func TestEncodings(t *testing.T) {
	two := good + "\n" + goodGit + "\n"
	many := lines(300)
	tests := []struct {
		name, encoding, body string
		want                 int
	}{
		{"identity", "identity", two, 2},
		{"empty value", "", two, 2},
		{"gzip", "gzip", gzipped(t, two), 2},
		{"gzip in another case", " GZip ", gzipped(t, two), 2},
		{"gzip in two members", "gzip", gzipped(t, good+"\n") + gzipped(t, goodGit), 2},
		{"zstd", "zstd", zstded(t, two), 2},
		{"zstd in two frames", "zstd", zstded(t, good+"\n") + zstded(t, goodGit), 2},
		{"zstd in two frames that shrink much", "zstd", zstded(t, strings.Repeat(" ", 100_000)+good+"\n") + zstded(t, strings.Repeat(" ", 100_000)+goodGit), 2},
		{"zstd with a frame to skip", "zstd", "\x50\x2a\x4d\x18\x04\x00\x00\x00abcd" + zstded(t, two), 2},
		{"zstd without the size", "zstd", zstdStream(t, two), 2},
		{"zstd that shrinks much", "zstd", zstdStream(t, strings.Repeat(" ", 1<<20)+two), 2},
		{"zstd with a window of 64 MiB", "zstd", zstdStream(t, two, zstd.WithWindowSize(64<<20)), 2},
		{"large", "", many, 300},
		{"large gzip", "gzip", gzipped(t, many), 300},
		{"large zstd", "zstd", zstded(t, many), 300},
		{"large zstd without the size", "zstd", zstdStream(t, many), 300},
	}
	for _, tt := range tests {
		for _, length := range []string{"length", "chunked"} {
			t.Run(tt.name+" "+length, func(t *testing.T) {
				h := New(newDoor(t), Options{})
				r := request(strings.NewReader(tt.body), "Content-Encoding", tt.encoding)
				if length == "chunked" {
					r.ContentLength = -1
				}
				if r := serve(t, h, r); r.Accepted != tt.want {
					t.Errorf("got %d %.300s, want %d accepted", r.status, r.text, tt.want)
				}
				if s := h.Stats(); s.WireBytes != uint64(len(tt.body)) || s.Memory != 0 {
					t.Errorf("got %d bytes read and %d held, want %d and 0", s.WireBytes, s.Memory, len(tt.body))
				}
			})
		}
	}
}

func TestBadPacking(t *testing.T) {
	const limit = 1 << 20
	zip, zst := gzipped(t, good), zstded(t, good)
	huge := strings.Repeat(" ", limit) + good
	tests := []struct {
		name, encoding, body string
		status               int
		code                 string
	}{
		{"not gzip", "gzip", good, 400, "bad_encoding"},
		{"half a gzip header", "gzip", zip[:5], 400, "bad_encoding"},
		{"gzip cut off", "gzip", zip[:len(zip)-9], 400, "bad_encoding"},
		{"gzip with a wrong checksum", "gzip", zip[:len(zip)-8] + "abcd" + zip[len(zip)-4:], 400, "bad_encoding"},
		{"gzip and rubbish", "gzip", zip + "rubbish and more", 400, "bad_encoding"},
		{"gzip of nothing", "gzip", gzipped(t, ""), 400, "empty_body"},
		{"nothing as gzip", "gzip", "", 400, "empty_body"},
		{"gzip bomb", "gzip", gzipped(t, strings.Repeat("\x00", 64<<20)), 413, "too_large"},
		{"gzip just over", "gzip", gzipped(t, huge), 413, "too_large"},
		{"gzip of white space", "gzip", gzipped(t, strings.Repeat("\n", 1000)), 400, "empty_body"},
		{"endless gzip of nothing", "gzip", strings.Repeat(gzipped(t, ""), limit/16), 413, "too_large"},
		{"not zstd", "zstd", good, 400, "bad_encoding"},
		{"zstd cut off", "zstd", zst[:len(zst)-5], 400, "bad_encoding"},
		{"zstd and rubbish", "zstd", zst + "rubbish", 400, "bad_encoding"},
		{"nothing as zstd", "zstd", "", 400, "empty_body"},
		{"zstd of nothing", "zstd", zstded(t, " "), 400, "empty_body"},
		{"zstd bomb", "zstd", zstded(t, strings.Repeat("\x00", 64<<20)), 413, "too_large"},
		{"zstd bomb without its size", "zstd", zstdStream(t, strings.Repeat("\x00", 64<<20)), 413, "too_large"},
		{"zstd just over", "zstd", zstded(t, huge), 413, "too_large"},
		{"zstd with a window of 3 TiB", "zstd", zstdHeader(0xff, 10, 10), 400, "bad_encoding"},
		{"zstd that claims much", "zstd", zstdHeader(0x50, 900<<10, -1), 400, "bad_encoding"},
		{"zstd that claims all", "zstd", zstdHeader(0x50, 1<<63, 10), 400, "bad_encoding"},
		{"zstd that claims what it may", "zstd", zstdHeader(0x50, 200<<10, 10), 400, "bad_encoding"},
		{"identity just over", "", huge, 413, "too_large"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDoor(t)
			h := New(d, Options{MaxRequest: limit})
			r := request(io.NopCloser(strings.NewReader(tt.body)), "Content-Encoding", tt.encoding)
			got := serve(t, h, r) // without a Content-Length
			if got.status != tt.status || got.Error.Code != tt.code {
				t.Errorf("got %d %s, want %d %s", got.status, got.text, tt.status, tt.code)
			}
			if d.calls.Load() != 0 || h.Stats().Memory != 0 {
				t.Errorf("got %d appends and %d bytes held, want none", d.calls.Load(), h.Stats().Memory)
			}
		})
	}
}

// TestClaimsTakeNoMemory lets headers claim what does not follow.
func TestClaimsTakeNoMemory(t *testing.T) {
	tests := []struct {
		name, encoding, body string
		length               int64
	}{
		{"Content-Length", "", good, 16 << 20},
		{"zstd content size", "zstd", zstdHeader(0x50, 16<<20, 10), -1},
		{"zstd window", "zstd", zstdHeader(0x88, 20, 10), -1}, // 128 MiB
		{"gzip", "gzip", gzipped(t, good)[:30], 16 << 20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := New(newDoor(t), Options{})
			run := func() {
				r := request(strings.NewReader(tt.body), "Content-Encoding", tt.encoding)
				r.ContentLength = tt.length
				if got := serve(t, h, r); got.status >= 500 {
					t.Errorf("got %d %s, want an answer below 500", got.status, got.text)
				}
			}
			run() // decoders are made once
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			run()
			runtime.ReadMemStats(&after)
			if got, want := after.TotalAlloc-before.TotalAlloc, uint64(1<<20); got > want {
				t.Errorf("got %d bytes taken, want at most %d", got, want)
			}
		})
	}
}

func TestLargestRequest(t *testing.T) {
	for _, encoding := range []string{"", "gzip", "zstd"} {
		t.Run("encoding "+encoding, func(t *testing.T) {
			h := New(newDoor(t), Options{Memory: 1}) // raised to what one request takes
			body := good + strings.Repeat(" ", 16<<20-len(good))
			switch encoding {
			case "gzip":
				body = gzipped(t, body)
			case "zstd":
				body = zstdStream(t, body)
			}
			if r := post(t, h, body, "Content-Encoding", encoding); r.Accepted != 1 {
				t.Errorf("got %d %s, want 1 accepted", r.status, r.text)
			}
		})
	}
}

func TestBodiesThatBreakOff(t *testing.T) {
	for _, cause := range []error{io.ErrUnexpectedEOF, errors.New("connection reset")} {
		for _, encoding := range []string{"", "gzip", "zstd"} {
			d := newDoor(t)
			body := io.MultiReader(strings.NewReader(good+"\n"), broken{cause})
			got := serve(t, New(d, Options{}), request(body, "Content-Encoding", encoding))
			if encoding == "gzip" { // what arrived is no gzip in the first place
				body = io.MultiReader(strings.NewReader(gzipped(t, good)[:20]), broken{cause})
				got = serve(t, New(d, Options{}), request(body, "Content-Encoding", encoding))
			}
			if got.status != http.StatusBadRequest || got.Error.Code != "truncated_body" || d.calls.Load() != 0 {
				t.Errorf("got %d %s with encoding %q and %v, want 400 truncated_body", got.status, got.text, encoding, cause)
			}
		}
	}
}

// broken fails to be read.
type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

func TestHostileEvents(t *testing.T) {
	var keys strings.Builder
	for i := range 200_000 {
		fmt.Fprintf(&keys, `,"k%d":0`, i)
	}
	tests := []struct{ name, body, want string }{
		{"deep nesting", `{"a":` + strings.Repeat(`{"a":`, 1_000_000), "0 too_deep"},
		{"deep arrays", strings.Repeat("[", 5_000_000), "0 not_an_object"},
		{"200,000 keys are too large", good[:len(good)-1] + keys.String() + "}", "0 too_large"},
		{"a long string", `{"event_type":"` + strings.Repeat("a", 2<<20) + `"}`, "0 too_large"},
		{"large and small", `{"a":"` + strings.Repeat("a", 2<<20) + `"}` + "\n" + typeles, "0 too_large,1 missing_type"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := post(t, New(newDoor(t), Options{}), tt.body).codes(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	t.Run("200,000 keys that fit", func(t *testing.T) {
		h := New(newDoor(t), Options{MaxEvent: 8 << 20})
		if r := post(t, h, good[:len(good)-1]+keys.String()+"}"); r.Accepted != 1 {
			t.Errorf("got %d %s, want 1 accepted", r.status, r.text)
		}
	})
}

// TestBudget fills the memory, sees a request refused, and recovers.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		h := New(d, Options{MaxRequest: 64 << 10, Memory: 1, Parsers: 1})
		// The budget for bodies is twice the largest request and two small buffers.
		read, write := io.Pipe()
		done := make(chan *reply)
		go func() { done <- serve(t, h, request(read)) }()
		if _, err := io.WriteString(write, strings.Repeat(" ", 64<<10)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		read2, write2 := io.Pipe()
		go func() { done <- serve(t, h, request(read2)) }()
		if _, err := io.WriteString(write2, strings.Repeat(" ", 32<<10-1)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		r := post(t, h, strings.Repeat(" ", 40<<10)+good) // waits a second of the bubble's time
		if r.status != http.StatusServiceUnavailable || r.Error.Code != "busy" || r.header.Get("Retry-After") != "1" {
			t.Errorf("got %d %s with Retry-After %q, want 503 busy with 1", r.status, r.text, r.header.Get("Retry-After"))
		}
		for _, w := range []*io.PipeWriter{write, write2} {
			_ = w.CloseWithError(io.ErrUnexpectedEOF)
			if r := <-done; r.status != http.StatusBadRequest {
				t.Errorf("got %d %s, want 400", r.status, r.text)
			}
		}
		if r := post(t, h, strings.Repeat(" ", 40<<10)+good); r.Accepted != 1 {
			t.Errorf("got %d %s after the others had ended, want 1 accepted", r.status, r.text)
		}
		if got := h.Stats().Memory; got != 0 {
			t.Errorf("got %d bytes held, want 0", got)
		}
	})
}

// Bodies of one tenant that do not come leave room for those of others.
func TestStalledBodiesOfATenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(newDoor(t), Options{MaxRequest: 64 << 10, Memory: 512 << 10}) // 160 small bodies
		var stalled []*io.PipeWriter
		var wg sync.WaitGroup
		for range 200 {
			body, w := io.Pipe()
			stalled = append(stalled, w)
			wg.Go(func() { h.ServeHTTP(httptest.NewRecorder(), request(body)) })
		}
		time.Sleep(2 * maxWait)
		if r := post(t, h, good); r.status != http.StatusServiceUnavailable {
			t.Errorf("the same tenant: got %d %s, want 503", r.status, r.text)
		}
		other := request(strings.NewReader(good))
		other.Header.Set("Authorization", "Bearer "+instanceToken)
		if r := serve(t, h, other); r.Accepted != 1 {
			t.Errorf("another one: got %d %s, want 1 accepted", r.status, r.text)
		}
		for _, w := range stalled {
			_ = w.Close()
		}
		wg.Wait()
		if r := post(t, h, good); r.Duplicates != 1 || h.Stats().Memory != 0 {
			t.Errorf("when the bodies have ended: got %d %s and %d bytes held, want 1 duplicate and none", r.status, r.text, h.Stats().Memory)
		}
	})
}

// Who waits for memory to unpack into leaves the turns to those who have some, and
// gets it from them.
func TestUnpackingWaitsWithoutATurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := New(newDoor(t), Options{MaxRequest: 64 << 10, Memory: 1, Parsers: 1}) // twice the largest request and two small buffers
		done := make(chan *reply)
		for i, spaces := range []int{60 << 10, 4000} {
			body, w := io.Pipe()
			go func() { done <- serve(t, h, request(body)) }()
			if _, err := io.WriteString(w, strings.Repeat(" ", spaces)); err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(time.Duration(1+2*i)*maxWait/2, func() {
				_, _ = io.WriteString(w, good)
				_ = w.Close()
			})
		}
		synctest.Wait()
		large := strings.Repeat(" ", 63<<10) + goodGit
		if r := post(t, h, zstded(t, large), "Content-Encoding", "zstd"); r.Accepted != 1 {
			t.Errorf("packed: got %d %s, want 1 accepted", r.status, r.text)
		}
		for range 2 {
			if r := <-done; r.status != http.StatusOK {
				t.Errorf("as they are: got %d %s, want 200", r.status, r.text)
			}
		}
	})
}

// TestAppendsInProgressAreBounded holds the log up.
func TestAppendsInProgressAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		hold := make(chan struct{})
		d.before = func(context.Context) error { <-hold; return nil }
		h := New(d, Options{}) // 24 MiB for events: six of the largest class, one of them not for this tenant
		large := strings.Repeat(" ", 256<<10) + good
		done := make(chan *reply)
		for range 6 {
			go func() { done <- post(t, h, large) }()
		}
		if r := <-done; r.status != http.StatusServiceUnavailable {
			t.Errorf("got %d %s, want 503", r.status, r.text)
		}
		go func() {
			other := request(strings.NewReader(large))
			other.Header.Set("Authorization", "Bearer "+instanceToken)
			done <- serve(t, h, other)
		}()
		time.Sleep(2 * maxWait)
		close(hold)
		for range 6 {
			if r := <-done; r.status != http.StatusOK {
				t.Errorf("got %d %s, want 200", r.status, r.text)
			}
		}
		if got, want := d.count(), 1; got != want {
			t.Errorf("got %d events, want %d: the others are duplicates", got, want)
		}
	})
}
