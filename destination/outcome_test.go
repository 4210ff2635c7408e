package destination

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestFromStatus(t *testing.T) {
	want := map[int]Class{400: RejectedBatch, 409: RejectedBatch, 413: RejectedBatch, 422: RejectedBatch,
		408: Unavailable, 425: Unavailable, 429: Unavailable, 499: Unavailable, 501: Misconfigured, 505: Misconfigured}
	for status := 100; status < 1000; status++ {
		class, listed := want[status]
		switch {
		case listed:
		case status >= 200 && status < 300:
			class = 0
		case status >= 500 && status < 600:
			class = Unavailable
		default:
			class = Misconfigured
		}
		e := FromStatus(status, http.Header{"Retry-After": {"9"}}, []byte("words"), epoch, nil)
		if class == 0 {
			if e != nil {
				t.Errorf("status %d: got %v, want nil", status, e)
			}
			continue
		}
		if e == nil || e.Class != class || e.Status != status {
			t.Fatalf("status %d: got %+v, want class %v", status, e, class)
		}
		if got, want := e.RetryAfter != 0, class == Unavailable; got != want {
			t.Errorf("status %d: got RetryAfter %v, want one: %t", status, e.RetryAfter, want)
		}
		if e.Gone != (status == 410) || e.TooLarge != (status == 413) {
			t.Errorf("status %d: got gone %t, too large %t", status, e.Gone, e.TooLarge)
		}
		if !strings.HasSuffix(e.Message, "it said: words") {
			t.Errorf("status %d: got message %q, want the destination's words in it", status, e.Message)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "12": 12 * time.Second, "3600": time.Hour, "3601": time.Hour, "-1": 0, "99999999999999": time.Hour,
		"999999999999999999999": time.Hour, "-999999999999999999999": 0, "1.5": 0, "soon": 0,
		epoch.Add(90 * time.Second).Format(http.TimeFormat): 90 * time.Second,
		epoch.Add(-time.Second).Format(http.TimeFormat):     0,
		epoch.Add(48 * time.Hour).Format(http.TimeFormat):   time.Hour,
		epoch.Add(time.Minute).Format(time.ANSIC):           time.Minute,
	} {
		if got := retryAfter(value, epoch); got != want {
			t.Errorf("Retry-After %q: got %v, want %v", value, got, want)
		}
	}
}

func TestWords(t *testing.T) {
	r := NewRedactor("s3cret-\"value\"", "s3cret", "abc", "p&q<r>")
	for in, want := range map[string]string{
		"":                             "",
		"  line\r\n\tline\x00\x1b[2J ": "line line [2J",
		"got s3cret-\"value\" here":    "got *** here",
		`{"x":"s3cret-\"value\""}`:     `{"x":"***"}`,
		"q=s3cret-%22value%22&":        "q=***&",
		"s3cret and abc":               "*** and abc",
		"p&amp;q&lt;r&gt; p&q<r>":      "*** ***",
		"czNjcmV0":                     "***",
		"bad \xff utf-8":               "bad ? utf-8",
		"rtl\u202e over":               "rtl over",
	} {
		if got := r.Words([]byte(in)); got != want {
			t.Errorf("Words of %q: got %q, want %q", in, got, want)
		}
	}
}

func TestWordsAreCut(t *testing.T) {
	r := NewRedactor(strings.Repeat("s", 100))
	long := strings.Repeat("é", 200) + " " + strings.Repeat("s", 100) + strings.Repeat("é", 60_000)
	got := r.Words([]byte(long))
	if len(got) > MaxWords || !utf8.ValidString(got) {
		t.Errorf("Words: got %d bytes, valid %t, want at most %d, valid", len(got), utf8.ValidString(got), MaxWords)
	}
	// A secret across the cut leaves no part of itself.
	got = r.Words([]byte(strings.Repeat("x", MaxWords-50) + strings.Repeat("s", 100)))
	if strings.Contains(got, "s") {
		t.Errorf("Words: got %q, want no part of the secret", got)
	}
	if got := (*Redactor)(nil).Words([]byte("as it is")); got != "as it is" {
		t.Errorf("Words without secrets: got %q, want them unchanged", got)
	}
}

func TestClassify(t *testing.T) {
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	for _, c := range []struct {
		err   error
		class Class
		words string
	}{
		{&RefusedError{What: "a loopback address"}, Misconfigured, "loopback"},
		{dial(&RefusedError{What: "a loopback address"}), Misconfigured, "loopback"},
		{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, Misconfigured, "not trusted"},
		{fmt.Errorf("connlost: %w", &net.OpError{Op: "read", Err: x509.HostnameError{Certificate: &x509.Certificate{}, Host: "a.test"}}), Misconfigured, "a.test"},
		{x509.CertificateInvalidError{Reason: x509.Expired}, Misconfigured, "expired"},
		{x509.CertificateInvalidError{Reason: x509.NotAuthorizedToSign}, Misconfigured, "not valid"},
		{&tls.CertificateVerificationError{Err: errors.New("odd")}, Misconfigured, "verified"},
		{tls.RecordHeaderError{Conn: &net.TCPConn{}}, Misconfigured, "does not speak TLS"},
		{tls.RecordHeaderError{}, Unavailable, "in the middle"},
		{http.ErrSchemeMismatch, Misconfigured, "TLS"},
		{&net.OpError{Op: "remote error", Err: errors.New("tls: handshake failure")}, Misconfigured, "handshake failure"},
		{&net.OpError{Op: "remote error", Err: errors.New("tls: internal error")}, Unavailable, "internal error"},
		{&net.DNSError{Name: "x.test", IsNotFound: true}, Unavailable, "x.test is not known"},
		{dial(&net.DNSError{Name: "x.test", IsTimeout: true}), Unavailable, "could not be looked up"},
		{dial(os.NewSyscallError("connect", syscall.ECONNREFUSED)), Unavailable, "refused"},
		{dial(os.ErrDeadlineExceeded), Unavailable, "no connection in time"},
		{dial(syscall.EHOSTUNREACH), Unavailable, "route"},
		{dial(syscall.EMFILE), Unavailable, "descriptor"},
		{dial(errors.New("odd")), Unavailable, "could not be made"},
		{context.DeadlineExceeded, Unavailable, "no answer in time"},
		{context.Canceled, Unavailable, "interrupted"},
		{&net.OpError{Op: "read", Err: syscall.ECONNRESET}, Unavailable, "reset"},
		{&net.OpError{Op: "write", Err: syscall.EPIPE}, Unavailable, "reset"},
		{io.EOF, Unavailable, "closed"},
		{io.ErrUnexpectedEOF, Unavailable, "closed"},
		{errors.New("odd"), Unavailable, "failed"},
		{fmt.Errorf("wrapped: %w", &Error{Class: RejectedBatch, Message: "as it was"}), RejectedBatch, "as it was"},
	} {
		got := Classify(c.err)
		if got.Class != c.class || !strings.Contains(got.Message, c.words) {
			t.Errorf("Classify of %v: got %v, want %v with %q", c.err, got, c.class, c.words)
		}
	}
	if got := Classify(nil); got != nil {
		t.Errorf("Classify of nil: got %v, want nil", got)
	}
}
