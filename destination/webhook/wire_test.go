package webhook

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/destinationtest"
)

var update = flag.Bool("update", false, "write the golden files anew")

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func fixedEnv() destination.Env {
	return destination.Env{
		Dialer:    destination.NewDialer(destination.DialerConfig{AllowPrivate: true}),
		UserAgent: "Sluice/1.0", Now: func() time.Time { return noon }, Namespace: "acme",
	}
}

// record accepts one connection, keeps every byte of one request on it, and
// answers 200. It returns the URL and where the bytes come out.
func record(t *testing.T) (string, chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: got %v, want nil", err)
	}
	t.Cleanup(func() { l.Close() })
	out := make(chan string, 1)
	length := regexp.MustCompile(`\r\nContent-Length: (\d+)\r\n`)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		var got []byte
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			got = append(got, buf[:n]...)
			head, body, found := bytes.Cut(got, []byte("\r\n\r\n"))
			m := length.FindSubmatch(head)
			if err != nil || found && (m == nil || string(m[1]) == fmt.Sprint(len(body))) {
				break
			}
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		out <- string(got)
	}()
	return "http://" + l.Addr().String(), out
}

// TestGolden compares what arrives, byte for byte, with the samples of
// docs/destinations/http.md.
func TestGolden(t *testing.T) {
	for _, c := range []struct {
		file   string
		n      int
		fields map[string]any
	}{
		{"event.http", 1, map[string]any{"headers": []Header{{Name: "authorization", Value: "Bearer abc", Active: true}, {Name: "X-Off", Value: "not sent"}}}},
		{"array.http", 2, map[string]any{"format": "array"}},
		{"ndjson.http", 2, map[string]any{"format": "ndjson"}},
		{"content-type.http", 1, map[string]any{"headers": []Header{{Name: "content-type", Value: "application/json", Active: true}}}},
	} {
		url, out := record(t)
		secrets := destination.Secrets{VerificationToken: testToken, SigningSecret: testKey}
		dst := openAt(t, url+"/logs", secrets, fixedEnv(), c.fields)
		if res := dst.Send(t.Context(), destinationtest.Batch(c.n)); res.Err != nil {
			t.Fatalf("Send: got %v, want delivered", res.Err)
		}
		got := strings.ReplaceAll(<-out, strings.TrimPrefix(url, "http://"), "siem.example.com")
		golden(t, c.file, strings.ReplaceAll(got, "\r\n", "\n"))
		dst.Close()
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	path := filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatalf("write golden file: got %v, want nil", err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("read golden file: got %v, want nil", err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}

// TestGuideShowsGolden holds the sample in the owners' page to what is sent.
func TestGuideShowsGolden(t *testing.T) {
	guide, err := os.ReadFile("../../docs/destinations/http.md")
	if err != nil {
		t.Fatalf("read guide: got %v, want nil", err)
	}
	sample, err := os.ReadFile("testdata/event.http")
	if err != nil {
		t.Fatalf("read golden file: got %v, want nil", err)
	}
	if !bytes.Contains(guide, sample) {
		t.Errorf("docs/destinations/http.md: got no copy of testdata/event.http, want one:\n%s", sample)
	}
}

// TestSignatureVector is the published example of Standard Webhooks.
func TestSignatureVector(t *testing.T) {
	signers, err := signersOf(destination.Secrets{SigningSecret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})
	if err != nil {
		t.Fatalf("signersOf: got %v, want nil", err)
	}
	body := destination.NewBody([]byte(`{"test": `), []byte(`2432232314}`))
	got := sign(signers, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), body)
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("sign: got %s, want %s", got, want)
	}
}

func TestRotatedSecretsSignTogether(t *testing.T) {
	secrets := Rotate(destination.Secrets{SigningSecret: testKey}, destination.Secrets{SigningSecret: NewSigningSecret()}, noon)
	signers, err := signersOf(secrets)
	if err != nil {
		t.Fatalf("signersOf: got %v, want nil", err)
	}
	body := destination.NewBody([]byte("{}"))
	for after, want := range map[time.Duration]int{0: 2, RotationPeriod - time.Second: 2, RotationPeriod: 1, 2 * RotationPeriod: 1} {
		if got := len(strings.Fields(sign(signers, "msg_1", noon.Add(after), body))); got != want {
			t.Errorf("signatures after %v: got %d, want %d", after, got, want)
		}
	}
	old, _ := signersOf(destination.Secrets{SigningSecret: testKey})
	both := strings.Fields(sign(signers, "msg_1", noon, body))
	if want := sign(old, "msg_1", noon, body); both[1] != want {
		t.Errorf("second signature: got %s, want the old secret's %s", both[1], want)
	}
}

func TestMessageID(t *testing.T) {
	b := destinationtest.Batch(200)
	seen := map[string]bool{}
	for n := 1; n <= 200; n++ {
		id := messageID(b.Events[:n])
		if seen[id] || id != messageID(destinationtest.Batch(n).Events) || len(id) != len("msg_")+32 {
			t.Errorf("id of %d events: got %s, want one of its own, the same each time", n, id)
		}
		seen[id] = true
	}
}

func TestEventTypeFitsIntoAHeader(t *testing.T) {
	for in, want := range map[string]string{"": "", "a.b": "a.b", "a\r\nEvil: 1": "a??Evil: 1", "größe": "größe", strings.Repeat("x", 300): strings.Repeat("x", 255)} {
		if got := headerValue(in); got != want {
			t.Errorf("headerValue of %q: got %q, want %q", in, got, want)
		}
	}
}

func TestLinesAreNotCopied(t *testing.T) {
	b := destinationtest.Batch(50)
	want := make([]byte, 0, 8192)
	for _, e := range b.Events {
		want = append(append(want, e.Payload...), '\n')
	}
	apart := &destination.Batch{Events: append([]destination.Event{}, b.Events...)}
	for i := range apart.Events {
		apart.Events[i].Payload = bytes.Clone(apart.Events[i].Payload)
	}
	clipped := &destination.Batch{Events: append([]destination.Event{}, b.Events...)}
	for i, e := range clipped.Events {
		clipped.Events[i].Payload = e.Payload[:len(e.Payload):len(e.Payload)]
	}
	for name, batch := range map[string]*destination.Batch{"one block": b, "apart": apart, "clipped": clipped} {
		var got bytes.Buffer
		if _, err := lines(batch.Events).WriteTo(&got); err != nil || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("lines of events %s: got %d bytes, %v, want %d, the same", name, got.Len(), err, len(want))
		}
	}
	// One slice, a body and its list: the number of events does not matter.
	if got := testing.AllocsPerRun(100, func() { lines(b.Events) }); got > 4 {
		t.Errorf("allocations for one block: got %v, want at most 4", got)
	}
	holes := append(append([]destination.Event{}, b.Events[:10]...), b.Events[20:]...)
	var got bytes.Buffer
	lines(holes).WriteTo(&got)
	if lines := bytes.Count(got.Bytes(), []byte("\n")); lines != 40 {
		t.Errorf("lines of events with a hole between: got %d, want 40", lines)
	}
}

func TestCheckSendsAMarkedEvent(t *testing.T) {
	for _, format := range []Format{FormatEvent, FormatArray, FormatNDJSON} {
		r, _ := receiver(t, func(http.ResponseWriter, *http.Request, int) {})
		dst := openAt(t, r.url, testSecrets(), fixedEnv(), map[string]any{"format": format})
		if !dst.Check(t.Context(), func(destination.Stage) {}) {
			t.Fatalf("Check of format %s: got failed, want passed", format)
		}
		q := r.requests()
		if len(q) != 1 {
			t.Fatalf("requests: got %d, want 1", len(q))
		}
		for name, want := range map[string]string{"X-Sluice-Check": "1", "X-Gitlab-Event-Streaming-Token": testToken,
			"X-Gitlab-Audit-Event-Type": map[Format]string{FormatEvent: destination.CheckType}[format]} {
			if got := q[0].header.Get(name); got != want {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
		if q[0].header.Get("webhook-signature") == "" {
			t.Error("webhook-signature: got none, want one")
		}
		for _, want := range []string{`"event_type":"sluice.check"`, `"entity_path":"acme"`, `"created_at":"2026-03-01T12:00:00Z"`, `"message":`} {
			if !strings.Contains(q[0].body, want) {
				t.Errorf("body: got %s, want %s in it", q[0].body, want)
			}
		}
		dst.Close()
	}
}

// TestEndpointIsNotPrinted prints an endpoint, which has secrets in its headers.
func TestEndpointIsNotPrinted(t *testing.T) {
	dst := openAt(t, "https://siem.test/logs?key=quiet-query-value", testSecrets(), destination.Env{Dialer: destination.NewDialer(destination.DialerConfig{})},
		map[string]any{"headers": []Header{{Name: "Authorization", Value: "Bearer " + testBearer, Active: true}}})
	defer dst.Close()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		text := fmt.Sprintf(verb, dst) + fmt.Sprintf(verb, []destination.Destination{dst})
		for _, secret := range []string{testToken, testKey, testBearer, "quiet-query-value"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s: got %q, want no secret in it", verb, text)
			}
		}
	}
	if got, want := fmt.Sprint(dst), "http siem.test"; got != want {
		t.Errorf("endpoint: got %q, want %q", got, want)
	}
}

// What the query of the address holds is not repeated, however it is written.
func TestQueriesAreNotRepeated(t *testing.T) {
	for _, query := range []string{"quiet-query-value", "a=1;key=quiet-query-value", "key=quiet%2Dquery-value", "key=quiet-query-value&b=%zz", "a+b=1&=quiet-query-value"} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://siem.test"+r.URL.Path+"/?"+r.URL.RawQuery)
			w.WriteHeader(http.StatusMovedPermanently)
		}))
		env := destination.Env{Dialer: destination.NewDialer(destination.DialerConfig{AllowPrivate: true})}
		dst := openAt(t, server.URL+"/logs?"+query, testSecrets(), env, map[string]any{"format": "ndjson"})
		res := dst.Send(t.Context(), destinationtest.Batch(1))
		if res.Err == nil || !strings.Contains(res.Err.Message, "https://siem.test/logs/?") || strings.Contains(res.Err.Message, "query") {
			t.Errorf("redirect of ?%s: got %v, want the address without its query", query, res.Err)
		}
		dst.Close()
		server.Close()
	}
}
