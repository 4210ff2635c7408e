package destination

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"
)

// receive starts a server on loopback that hands over each body it got.
func receive(t *testing.T, secure bool) (*httptest.Server, chan []byte) {
	t.Helper()
	bodies := make(chan []byte, 10)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- body
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if secure {
		s.TLS = &tls.Config{MaxVersion: tls.VersionTLS12}
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s, bodies
}

func testEnv() Env { return Env{Dialer: NewDialer(DialerConfig{AllowPrivate: true})} }

func post(ctx context.Context, rt http.RoundTripper, url string, body *Body) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body.Reader())
	if err != nil {
		return nil, err
	}
	req.ContentLength = body.Len()
	return rt.RoundTrip(req)
}

// parts returns slices of many sizes and what they are together.
func parts() (list [][]byte, all []byte) {
	for i, n := range []int{0, 1, 4095, 0, 4096, 70_000, 1, 1, 500_000, 3, 0} {
		list = append(list, bytes.Repeat([]byte{byte('a' + i)}, n))
	}
	for range 3000 { // more than one writev takes
		list = append(list, []byte("xyz"))
	}
	return list, bytes.Join(list, nil)
}

func TestBodyArrivesWhole(t *testing.T) {
	for _, secure := range []bool{false, true} {
		s, bodies := receive(t, secure)
		tr := NewTransport(testEnv(), TLSOptions{SkipVerify: true})
		defer tr.CloseIdleConnections()
		list, all := parts()
		for _, c := range []struct {
			list [][]byte
			want []byte
		}{{list, all}, {[][]byte{[]byte("small")}, []byte("small")}, {list, all}} {
			body := NewBody(c.list...)
			resp, err := post(t.Context(), tr, s.URL, body)
			if err != nil {
				t.Fatalf("RoundTrip: got %v, want nil", err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			body.Release()
			if got := <-bodies; !bytes.Equal(got, c.want) {
				t.Errorf("body with TLS %t: got %d bytes, want %d, the same", secure, len(got), len(c.want))
			}
		}
		if _, got := parts(); !bytes.Equal(got, all) {
			t.Error("parts: got changed, want as they were")
		}
	}
}

// TestLargeBodyIsNotCopied holds the seam with net/http: what does not fit into
// its write buffer reaches the connection as slices.
func TestLargeBodyIsNotCopied(t *testing.T) {
	s, bodies := receive(t, false)
	tr := NewTransport(testEnv(), TLSOptions{})
	defer tr.CloseIdleConnections()
	body := NewBody(make([]byte, 1<<20))
	reader := body.Reader().(*bodyReader)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, reader)
	if err != nil {
		t.Fatalf("NewRequest: got %v, want nil", err)
	}
	req.ContentLength = body.Len()
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatalf("RoundTrip: got %v, want nil", err)
	}
	resp.Body.Close()
	<-bodies
	body.Release()
	if !reader.vectored {
		t.Error("body: got copied, want it handed to the connection")
	}
}

func TestReleasedBodyIsNotRead(t *testing.T) {
	body := NewBody([]byte("gone"))
	r := body.Reader()
	if n, err := r.Read(make([]byte, 2)); n != 2 || err != nil {
		t.Errorf("Read: got %d, %v, want 2, nil", n, err)
	}
	body.Release()
	if n, err := r.Read(make([]byte, 2)); n != 0 || err == nil || err == io.EOF {
		t.Errorf("Read after Release: got %d, %v, want an error", n, err)
	}
}

// TestReleaseAfterCancel cancels a request whose receiver does not read.
func TestReleaseAfterCancel(t *testing.T) {
	arrived, stop := make(chan struct{}), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-stop
	}))
	defer s.Close()
	defer close(stop)
	tr := NewTransport(testEnv(), TLSOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	large := make([]byte, 32<<20)
	body := NewBody(large)
	_, err := post(ctx, tr, s.URL, body)
	if got := Classify(err); got == nil || got.Class != Unavailable {
		t.Errorf("RoundTrip: got %v, want unavailable", got)
	}
	body.Release()
	clear(large) // the race detector objects when something still reads
}

// TestAnswerBeforeTheBody has a receiver that refuses a request by its header, and
// closes the connection while the body is being sent.
func TestAnswerBeforeTheBody(t *testing.T) {
	for _, secure := range []bool{false, true} {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			_ = c.Close() // the sender may be gone
		}))
		if secure {
			s.StartTLS()
		} else {
			s.Start()
		}
		defer s.Close()
		tr := NewTransport(testEnv(), TLSOptions{SkipVerify: true})
		large := make([]byte, 8<<20)
		for range 8 {
			ctx, cancel := context.WithCancel(t.Context())
			body := NewBody(large)
			resp, err := post(ctx, tr, s.URL, body)
			if err != nil {
				t.Errorf("with TLS %t: got %v, want the answer", secure, err)
			} else if resp.Body.Close(); resp.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("with TLS %t: got %d, want %d", secure, resp.StatusCode, http.StatusRequestEntityTooLarge)
			}
			cancel()
			body.Release()
		}
	}
}

func TestTLS(t *testing.T) {
	s, _ := receive(t, true)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	old := httptest.NewUnstartedServer(http.NotFoundHandler())
	old.Config.ErrorLog = log.New(io.Discard, "", 0)
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	old.StartTLS()
	defer old.Close()
	plain, _ := receive(t, false)
	for _, c := range []struct {
		name    string
		url     string
		options TLSOptions
		want    Class // 0: success
	}{
		{"trusted", s.URL, TLSOptions{RootCAs: roots}, 0},
		{"skipped", s.URL, TLSOptions{SkipVerify: true}, 0},
		{"untrusted", s.URL, TLSOptions{}, Misconfigured},
		{"TLS 1.1", old.URL, TLSOptions{SkipVerify: true}, Misconfigured},
		{"no TLS", "https" + plain.URL[len("http"):], TLSOptions{}, Misconfigured},
	} {
		tr := NewTransport(testEnv(), c.options)
		resp, err := post(t.Context(), tr, c.url, NewBody([]byte("x")))
		if err == nil {
			resp.Body.Close()
		}
		got := Classify(err)
		if c.want == 0 && got != nil || c.want != 0 && (got == nil || got.Class != c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
		tr.CloseIdleConnections()
	}
}

func TestEnvironmentProxyIsIgnored(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	if NewTransport(testEnv(), TLSOptions{}).Proxy != nil {
		t.Error("Proxy: got one, want none")
	}
}

func TestClientHandsOutRedirects(t *testing.T) {
	s := httptest.NewServer(http.RedirectHandler("/elsewhere", http.StatusFound))
	defer s.Close()
	tr := NewTransport(testEnv(), TLSOptions{})
	defer tr.CloseIdleConnections()
	resp, err := NewClient(tr).Post(s.URL, "text/plain", NewBody([]byte("x")).Reader())
	if err != nil {
		t.Fatalf("Post: got %v, want nil", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusFound {
		t.Errorf("status: got %d, want %d", resp.StatusCode, http.StatusFound)
	}
}
