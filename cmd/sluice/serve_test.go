package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sluicelog/sluice/secret"
)

const adminToken = "token-of-the-administrator"

// running is a server of the test's own.
type running struct {
	t      *testing.T
	url    string
	output *lockedBuffer // what it logs
	stop   func() result
}

// lockedBuffer takes the server's output while it runs.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startServer runs sluice serve until it answers.
func startServer(t *testing.T, data string, client *http.Client, args ...string) *running {
	t.Helper()
	var stdout, stderr lockedBuffer
	ctx, cancel := context.WithCancel(context.Background())
	env := &Env{Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Environ: []string{"SLUICE_ADMIN_TOKEN=" + adminToken, "SLUICE_REQUEST_LIMIT=0"}}
	line := append([]string{"serve", "--data", data, "--listen", "127.0.0.1:0", "--allow-private-destinations"}, args...)
	var code int
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		code = run(ctx, env, line)
	}()
	r := &running{t: t, output: &stderr}
	r.stop = func() result {
		cancel()
		<-ended
		return result{code, stdout.String(), stderr.String()}
	}
	t.Cleanup(func() { r.stop() })
	r.answers(client, ended)
	return r
}

// answers waits until the server has named its address and answers there.
func (r *running) answers(client *http.Client, ended <-chan struct{}) {
	r.t.Helper()
	wait(r.t, "the server to answer", func() bool {
		select {
		case <-ended:
			r.t.Fatalf("the server ended: %s", r.output)
		default:
		}
		if r.url = announced(r.output.String()); r.url == "" {
			return false
		}
		resp, err := client.Get(r.url + "/healthz")
		if err != nil {
			return false
		}
		return resp.Body.Close() == nil
	})
}

// call makes a request as the administrator and decodes the answer.
func (r *running) call(method, path, body string, into any) int {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminToken)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			r.t.Fatalf("%s %s: got %s: %v", method, path, text, err)
		}
	}
	return resp.StatusCode
}

// streamView is what the tests read of a stream.
type streamView struct {
	ID     int64             `json:"id"`
	Status string            `json:"status"`
	Token  string            `json:"verification_token"`
	Ledger map[string]uint64 `json:"ledger"`
}

// settled waits until the stream has nothing pending.
func (r *running) settled(id int64) streamView {
	r.t.Helper()
	var v streamView
	wait(r.t, "the stream to settle", func() bool {
		v = streamView{}
		r.call("GET", fmt.Sprintf("/api/v1/streams/%d", id), "", &v)
		return v.Ledger["pending"] == 0
	})
	return v
}

// TestServe goes the whole way: a server, a stream, events, a restart, and a
// look at the log from outside.
func TestServe(t *testing.T) {
	var mu sync.Mutex
	got := map[string]string{} // id to token header
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		var e struct{ ID string }
		if err := json.NewDecoder(req.Body).Decode(&e); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		got[e.ID] = req.Header.Get("X-Gitlab-Event-Streaming-Token")
	}))
	defer receiver.Close()
	data := filepath.Join(t.TempDir(), "data")
	s := startServer(t, data, http.DefaultClient)
	var stream streamView
	if code := s.call("POST", "/api/v1/streams", fmt.Sprintf(`{"namespace":"acme","kind":"http","config":{"url":%q}}`, receiver.URL), &stream); code != http.StatusCreated && code != http.StatusOK {
		t.Fatalf("create stream: got %d", code)
	}
	var body strings.Builder
	for i := range 20 {
		fmt.Fprintf(&body, `{"id":"e%d","event_type":"user.add","entity_path":"acme/web"}`+"\n", i)
	}
	var accepted struct{ Accepted, Duplicates int }
	if code := s.call("POST", "/api/v1/events", body.String(), &accepted); code != http.StatusOK || accepted.Accepted != 20 {
		t.Fatalf("post: got %d, %+v", code, accepted)
	}
	// What the server tells about itself is appended a moment after the answer: a
	// token, a namespace and a stream.
	logged(t, data, 23)
	before := s.settled(stream.ID)
	if res := s.stop(); res.code != exitOK {
		t.Fatalf("serve: got code %d: %s", res.code, res.stderr)
	}
	s = startServer(t, data, http.DefaultClient, "--existing")
	if code := s.call("POST", "/api/v1/events", body.String(), &accepted); code != http.StatusOK || accepted.Duplicates != 20 {
		t.Errorf("repeated post: got %d, %+v, want 20 duplicates", code, accepted)
	}
	after := s.settled(stream.ID)
	if fmt.Sprint(after.Ledger) != fmt.Sprint(before.Ledger) {
		t.Errorf("ledger after a restart: got %v, want %v", after.Ledger, before.Ledger)
	}
	mu.Lock()
	for i := range 20 {
		if token := got[fmt.Sprintf("e%d", i)]; token != stream.Token {
			t.Errorf("event e%d arrived with token %q, want %q", i, token, stream.Token)
		}
	}
	mu.Unlock()

	// Beside the running server.
	res := sluiceRun(t.Context(), nil, "", "log", "verify", "--data", data)
	if res.code != exitOK || !strings.Contains(res.stdout, "audit: ") {
		t.Errorf("log verify: got %+v", res)
	}
	res = sluiceRun(t.Context(), nil, "", "log", "cat", "--data", data, "--partition", "audit")
	if n := strings.Count(res.stdout, `"user.add"`); res.code != exitOK || n != 20 {
		t.Errorf("log cat: got code %d and %d of 20 events: %s", res.code, n, res.stderr)
	}
	s.stop()
	res = sluiceRun(t.Context(), nil, "", "log", "verify", "--data", data)
	if res.code != exitOK || !strings.Contains(res.stdout, "anchor: holds") {
		t.Errorf("log verify after the stop: got %+v, want that the anchor holds", res)
	}
	damage(t, data)
	res = sluiceRun(t.Context(), nil, "", "log", "verify", "--data", data)
	if res.code != exitFailure || !strings.Contains(res.stdout, "DAMAGE: events 1 to ") {
		t.Errorf("log verify of a damaged log: got %+v, want code 1 and the range", res)
	}
}

// logged waits until the audit partition holds n events.
func logged(t *testing.T, data string, n int) {
	t.Helper()
	want := fmt.Sprintf("audit: %d events", n)
	wait(t, "a log of "+want, func() bool {
		return strings.Contains(sluiceRun(t.Context(), nil, "", "log", "verify", "--data", data).stdout, want)
	})
}

// damage flips a bit in the first block of the audit partition.
func damage(t *testing.T, data string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(data, "log", "audit", "*.seg"))
	if err != nil || len(files) == 0 {
		t.Fatalf("segments: got %v, %v", files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	b[300] ^= 1
	if err := os.WriteFile(files[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// serveOnce runs sluice serve on data that it should refuse.
func serveOnce(t *testing.T, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return sluiceRun(ctx, []string{"SLUICE_ADMIN_TOKEN=" + adminToken}, "", append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
}

func TestServeGuardsItsData(t *testing.T) {
	dir := t.TempDir()
	foreign := filepath.Join(dir, "foreign")
	if err := os.MkdirAll(foreign, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(foreign, "thesis.txt"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	used := filepath.Join(dir, "used")
	s := startServer(t, used, http.DefaultClient)
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"a folder with other files", []string{"--data", foreign}, "is not empty"},
		{"nothing there and --existing", []string{"--data", filepath.Join(dir, "absent"), "--existing"}, "is the disk mounted?"},
		{"a folder in use", []string{"--data", used}, "is in use by process"},
		{"an address in use", []string{"--data", used, "--listen", strings.TrimPrefix(s.url, "http://")}, "another address with --listen"},
		{"an address of figures in use", []string{"--data", used, "--metrics-listen", strings.TrimPrefix(s.url, "http://")}, "another address with --metrics-listen"},
	} {
		if res := serveOnce(t, c.args...); res.code != exitFailure || !strings.Contains(res.stderr, c.want) {
			t.Errorf("%s: got code %d: %s, want 1 and %q", c.name, res.code, res.stderr, c.want)
		}
	}
	s.stop()
	if err := os.Remove(filepath.Join(used, "sluice.key")); err != nil {
		t.Fatal(err)
	}
	if res := serveOnce(t, "--data", used); res.code != exitFailure || !strings.Contains(res.stderr, "key file") {
		t.Errorf("without its key file: got code %d: %s", res.code, res.stderr)
	}
	if err := os.Remove(filepath.Join(used, "control.db")); err != nil {
		t.Fatal(err)
	}
	if res := serveOnce(t, "--data", used); res.code != exitFailure || !strings.Contains(res.stderr, "restore that file") {
		t.Errorf("a log without control state: got code %d: %s", res.code, res.stderr)
	}
}

// A first start that ended before it had control state is gone on with.
func TestServeGoesOnWithAFirstStart(t *testing.T) {
	data := t.TempDir()
	if _, err := secret.CreateKeyFile(filepath.Join(data, keyName)); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(data, controlFile+".lock"), "process 1\n")
	stopped(t, startServer(t, data, http.DefaultClient))
}

// A server whose log nobody reads any more goes on, and stops when it is told to.
func TestServeOutlivesTheReaderOfItsLog(t *testing.T) {
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), executable, "serve", "--data", filepath.Join(t.TempDir(), "data"), "--listen", "127.0.0.1:0")
	cmd.Env = []string{"SLUICE_ADMIN_TOKEN=" + adminToken}
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(log); lines.Scan() && !strings.Contains(lines.Text(), "msg=serving"); {
	}
	if err := errors.Join(log.Close(), cmd.Process.Signal(syscall.SIGTERM)); err != nil { // of which it tells in its log
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("serve: got %v, want an end without an error", err)
	}
}

func TestServeWithoutSpace(t *testing.T) {
	s := startServer(t, filepath.Join(t.TempDir(), "data"), http.DefaultClient, "--free-floor", "1000TiB")
	var answer struct {
		Error struct{ Code, Message, Hint string }
	}
	code := s.call("POST", "/api/v1/events", `{"event_type":"a","entity_path":"acme"}`, &answer)
	if code != http.StatusInsufficientStorage || answer.Error.Hint == "" {
		t.Errorf("post: got %d, %+v, want 507 with a hint", code, answer)
	}
	if code := s.call("GET", "/readyz", "", nil); code != http.StatusServiceUnavailable {
		t.Errorf("readyz: got %d, want 503", code)
	}
	if code := s.call("POST", "/api/v1/tokens", `{"kind":"producer","namespace":"","name":"x"}`, nil); code >= 300 {
		t.Errorf("control state below the floor: got %d, want it to work", code)
	}
}

func TestServeTLSAndMetrics(t *testing.T) {
	dir := t.TempDir()
	cert, key, pool := certificate(t, dir)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	s := startServer(t, filepath.Join(dir, "data"), client, "--tls-cert", cert, "--tls-key", key, "--metrics-listen", "127.0.0.1:0")
	if !strings.HasPrefix(s.url, "https://") {
		t.Errorf("got the address %s, want https", s.url)
	}
	var named []string
	wait(t, "the address of the metrics in the log", func() bool {
		named = regexp.MustCompile(`metrics_url=(\S+)`).FindStringSubmatch(s.output.String())
		return named != nil
	})
	resp, err := http.Get(named[1])
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(text), "sluice_") {
		t.Errorf("metrics: got %d, %v: %.200s", resp.StatusCode, err, text)
	}
}

// certificate makes a self-signed one for 127.0.0.1.
func certificate(t *testing.T, dir string) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for path, b := range map[string][]byte{cert: certPEM, key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return cert, key, pool
}

// TestDemoForReal is what make run's reader does next: the demo with a server, a
// repository and pushes of its own.
func TestDemoForReal(t *testing.T) {
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", t.TempDir())
	var stdout, stderr strings.Builder
	env := &Env{Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Executable: executable,
		Environ: []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.Getenv("TMPDIR"), "GORACE=atexit_sleep_ms=0"}}
	if code := run(t.Context(), env, []string{"demo"}); code != exitOK {
		t.Fatalf("got code %d: %s%s", code, stdout.String(), stderr.String())
	}
	if text := stdout.String(); strings.Count(text, "delivered to the receiver") != 6 || !strings.Contains(text, "pending 0") {
		t.Errorf("got %s, want six deliveries and nothing pending", text)
	}
}
