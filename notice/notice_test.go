package notice_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/notice"
)

func held() notice.Notice {
	at := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	return notice.Notice{
		ID: "0197f3a1-6f2e-7c33-9f0e-3b8f6f6a9c11", Type: "stream.held", Time: at, Since: at.Add(-90 * time.Second),
		Stream: notice.Stream{ID: 12, Name: "siem ü", Namespace: "acme", Kind: "http"},
		Reason: "the destination answered 401: token expired", Advice: "Replace the token.", LagEvents: 18, LagSeconds: 90.4,
	}
}

func TestText(t *testing.T) {
	n := held()
	for _, want := range []string{`stream 12 "siem ü" of acme`, "held", "2026-03-01 09:58:30 UTC (1m30s)", "token expired", "Replace the token.", "18 events, the oldest for 1m30s", "Nothing is lost"} {
		if !strings.Contains(n.Text(), want) {
			t.Errorf("got %q, want %q in it", n.Text(), want)
		}
	}
	n.Type, n.LagEvents, n.Stream.Name, n.Stream.Namespace = "stream.recovered", 0, "", ""
	if text := n.Text(); !strings.Contains(text, "stream 12 of the instance: delivers again") || !strings.Contains(text, "Waiting: nothing") || strings.Contains(text, "Nothing is lost") {
		t.Errorf("got %q", text)
	}
}

func web(allowPrivate bool) *notice.Web {
	return notice.NewWeb(destination.Env{UserAgent: "Sluice/test", Dialer: destination.NewDialer(destination.DialerConfig{AllowPrivate: allowPrivate})}, allowPrivate)
}

func TestWeb(t *testing.T) {
	const token = "T0KEN-IN-THE-PATH"
	var requests int
	var got struct {
		ID, Type, Text string
		Stream         struct{ Name string }
		LagEvents      int `json:"lag_events"`
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		switch r.URL.Path[len("/hooks/"+token):] {
		case "/moved":
			http.Redirect(w, r, "/hooks/"+token+"/", http.StatusTemporaryRedirect)
		case "/no":
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, "no: %s", r.URL)
		default:
			if err := json.NewDecoder(r.Body).Decode(&got); err != nil || r.Header.Get("Content-Type") != "application/json" {
				t.Errorf("got a body that is no JSON: %v", err)
			}
		}
	}))
	defer s.Close()
	w := web(true)
	base := s.URL + "/hooks/" + token
	if err := w.Send(t.Context(), base+"/", held()); err != nil {
		t.Errorf("send: %v", err)
	}
	if got.ID != held().ID || got.Stream.Name != "siem ü" || got.LagEvents != 18 || !strings.Contains(got.Text, "token expired") {
		t.Errorf("got %+v, want the notice and its text", got)
	}
	for path, want := range map[string]string{"/no?key=" + token: "403: no:", "/moved": "307"} {
		err := w.Send(t.Context(), base+path, held())
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), token) {
			t.Errorf("%s: got error %v, want %q without the token", path, err, want)
		}
	}
	if requests != 3 {
		t.Errorf("got %d requests, want 3: redirects are not followed", requests)
	}
	s.Close()
	if err := w.Send(t.Context(), base, held()); err == nil || strings.Contains(err.Error(), token) {
		t.Errorf("nobody listens: got error %v, want one without the token", err)
	}
	if err := web(false).Send(t.Context(), base, held()); err == nil || strings.Contains(err.Error(), token) {
		t.Errorf("a private address: got error %v, want it refused", err)
	}
}

func TestChecks(t *testing.T) {
	mail, err := notice.NewMail(notice.MailConfig{Server: "127.0.0.1:25", From: "Sluice <sluice@acme.example>"})
	if err != nil {
		t.Fatal(err)
	}
	for address, s := range map[string]notice.Sender{
		"https://203.0.114.7/hooks/1?a=b": web(false), "http://127.0.0.1:80/x": web(true), "jane@acme.example": mail,
	} {
		if err := s.Check(t.Context(), address); err != nil {
			t.Errorf("%s: got error %v", address, err)
		}
	}
	for address, s := range map[string]notice.Sender{
		"": web(true), "acme": web(true), "ftp://x.example/": web(true), "https://": web(true), "https://jane:secret@x.example/": web(true),
		"https://x.example/#a": web(true), "http://203.0.114.7/": web(false), "https://127.0.0.1/": web(false), "https://169.254.169.254/": web(true),
		"https://x.example/" + strings.Repeat("a", 2048): web(true),
		"jane": mail, "Jane <jane@acme.example>": mail, "jane@acme.example\r\nBcc: all@acme.example": mail, "jane@acme.example, joe@acme.example": mail,
		strings.Repeat("a", 300) + "@acme.example": mail, "jüne@acme.example": mail,
	} {
		if e, ok := errors.AsType[*sluice.Error](s.Check(t.Context(), address)); !ok || e.Code != sluice.Invalid || e.Hint == "" || strings.Contains(e.Message+e.Hint, "secret") {
			t.Errorf("%.40q: got error %v, want one with code invalid and a hint", address, e)
		}
	}
	for _, cfg := range []notice.MailConfig{{}, {Server: "host", From: "a@b.example"}, {Server: "host:25", From: "nobody"}} {
		if _, err := notice.NewMail(cfg); err == nil {
			t.Errorf("NewMail(%q, %q): got no error", cfg.Server, cfg.From)
		}
	}
}

// mailServer is a mail server on loopback that keeps what it gets.
type mailServer struct {
	net.Listener
	tls    *tls.Config // nil: it offers no STARTTLS
	refuse string      // answers the recipient with this

	mu       sync.Mutex
	lines    []string // commands
	message  string
	plain    []string // commands in the clear
	sessions sync.WaitGroup
}

func newMailServer(t *testing.T, config *tls.Config, refuse string) *mailServer {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &mailServer{Listener: l, tls: config, refuse: refuse}
	s.sessions.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.sessions.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); s.sessions.Wait() })
	return s
}

func (s *mailServer) serve(c net.Conn) {
	defer func() { c.Close() }()
	r := bufio.NewReader(c)
	secure := false
	fmt.Fprint(c, "220 mail.example\r\n")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		s.mu.Lock()
		s.lines = append(s.lines, line)
		if !secure {
			s.plain = append(s.plain, line)
		}
		s.mu.Unlock()
		switch verb, _, _ := strings.Cut(line, " "); strings.ToUpper(verb) {
		case "EHLO":
			fmt.Fprint(c, "250-mail.example\r\n")
			if s.tls != nil && !secure {
				fmt.Fprint(c, "250-STARTTLS\r\n")
			}
			fmt.Fprint(c, "250 AUTH PLAIN\r\n")
		case "STARTTLS":
			fmt.Fprint(c, "220 go\r\n")
			t := tls.Server(c, s.tls)
			c, r, secure = t, bufio.NewReader(t), true
		case "RCPT":
			if s.refuse != "" {
				fmt.Fprint(c, s.refuse+" "+strings.Join(s.lines, " ")+"\r\n")
				continue
			}
			fmt.Fprint(c, "250 ok\r\n")
		case "AUTH":
			fmt.Fprint(c, "235 ok\r\n")
		case "DATA":
			fmt.Fprint(c, "354 go\r\n")
			var b strings.Builder
			for line, err := r.ReadString('\n'); err == nil && line != ".\r\n"; line, err = r.ReadString('\n') {
				b.WriteString(line)
			}
			s.mu.Lock()
			s.message = b.String()
			s.mu.Unlock()
			fmt.Fprint(c, "250 taken\r\n")
		case "QUIT":
			fmt.Fprint(c, "221 bye\r\n")
			return
		default:
			fmt.Fprint(c, "250 ok\r\n")
		}
	}
}

// certificate returns one that is valid for 127.0.0.1, and who vouches for it.
func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return &tls.Config{Certificates: s.TLS.Certificates}, roots
}

func TestMail(t *testing.T) {
	const password = "mail-password-4711"
	config, roots := certificate(t)
	for name, c := range map[string]struct {
		tls     *tls.Config
		roots   *x509.CertPool
		refuse  string
		wantErr string
	}{
		"starttls":           {tls: config, roots: roots},
		"plain on loopback":  {},
		"untrusted":          {tls: config, wantErr: "certificate"},
		"refused, repeating": {tls: config, roots: roots, refuse: "550 no such user", wantErr: "no such user"},
	} {
		s := newMailServer(t, c.tls, c.refuse)
		m, err := notice.NewMail(notice.MailConfig{Server: s.Addr().String(), From: "Sluice <sluice@acme.example>", User: "sluice", Password: password, RootCAs: c.roots})
		if err != nil {
			t.Fatal(err)
		}
		err = m.Send(t.Context(), "jane@acme.example", held())
		s.mu.Lock()
		message, plain := s.message, strings.Join(s.plain, "\n")
		s.mu.Unlock()
		encoded := base64.StdEncoding.EncodeToString([]byte("\x00sluice\x00" + password))
		if c.tls != nil && strings.Contains(plain, "AUTH") {
			t.Errorf("%s: the password was sent in the clear", name)
		}
		if c.wantErr != "" {
			if err == nil || !strings.Contains(err.Error(), c.wantErr) || strings.Contains(err.Error(), password) || strings.Contains(err.Error(), encoded) {
				t.Errorf("%s: got error %v, want %q without the password", name, err, c.wantErr)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		wantMessage(t, name, message)
	}
}

func wantMessage(t *testing.T, name, text string) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%s: got %q: %v", name, text, err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || !strings.Contains(subject, `"siem ü" of acme: held`) {
		t.Errorf("%s: got subject %q, error %v", name, subject, err)
	}
	if m.Header.Get("To") != "<jane@acme.example>" || m.Header.Get("Message-Id") != "<"+held().ID+"@acme.example>" || m.Header.Get("Auto-Submitted") != "auto-generated" {
		t.Errorf("%s: got header %v", name, m.Header)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	want := held()
	if got := strings.ReplaceAll(string(body), "\r\n", "\n"); err != nil || got != want.Text() {
		t.Errorf("%s: got body %q, error %v, want %q", name, got, err, want.Text())
	}
}

// A server that hangs costs no more than the caller's time.
func TestMailEnds(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // never accepts
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	m, err := notice.NewMail(notice.MailConfig{Server: l.Addr().String(), From: "sluice@acme.example"})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []time.Duration{0, time.Microsecond, 20 * time.Millisecond} { // in the dial, and in the greeting
		ctx, cancel := context.WithTimeout(t.Context(), d)
		if err := m.Send(ctx, "jane@acme.example", held()); err == nil || !strings.Contains(err.Error(), "in time") {
			t.Errorf("within %v: got error %v, want that it did not answer in time", d, err)
		}
		cancel()
	}
}
