package webtest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
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

	"github.com/sluicelog/sluice/destination/eventhubs/eventhubstest"
	"github.com/sluicelog/sluice/web/label"
	"github.com/sluicelog/sluice/web/webtest"
)

const (
	adminToken = "token-of-the-administrator"
	password   = "correct horse battery"
	// trusted is a file with the certificates that the server trusts.
	trusted = "trusted.pem"
)

// world is a server as it is shipped, with people, and a browser for them.
type world struct {
	t *testing.T
	*shared
}

// shared is what all tests of a world have.
type shared struct {
	url    string
	dir    string
	chrome *webtest.Chrome
	words  label.Words
	// certificate and key are files with what the server trusts, for receivers that
	// are programs of their own.
	certificate, key string

	mu      sync.Mutex
	secrets []string // that no page may hold
}

// newWorld starts it all: jane owns acme, initech and hooli, and joe audits acme;
// eve owns umbra, and mona administers.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t, &shared{dir: t.TempDir(), words: label.English(), secrets: []string{adminToken, password}}}
	w.serve()
	w.chrome = webtest.Start(t)
	w.firstUser()
	for _, name := range []string{"jane", "joe", "eve"} {
		w.call("POST", "/api/v1/users", map[string]any{"name": name, "password": password}, nil)
	}
	for namespace, user := range map[string]string{"acme": "jane", "initech": "jane", "hooli": "jane", "umbra": "eve"} {
		w.call("POST", "/api/v1/members", map[string]any{"namespace": namespace, "user": user, "role": "owner"}, nil)
	}
	w.call("POST", "/api/v1/members", map[string]any{"namespace": "acme", "user": "joe", "role": "auditor"}, nil)
	w.post(events()...)
	return w
}

// within is the world for a test of its own.
func (w *world) within(t *testing.T) *world { return &world{t, w.shared} }

// firstUser makes mona on the page that is there as long as nobody can sign in.
func (w *world) firstUser() {
	w.t.Helper()
	p := w.window(w.t, false)
	p.Open("/-/account/tokens")
	p.WantPath("/-/first_user")
	p.Fill("Administrator's token", adminToken, "User name", "mona", "New password", password, "New password again", "another one")
	p.FollowStatus("button", "Make the first user", http.StatusUnprocessableEntity)
	p.Want("differ")
	p.Fill("Administrator's token", adminToken, "New password", password, "New password again", password)
	p.Follow("button", "Make the first user")
	p.WantPath("/-/")
	p.Want("administrator", "There are none yet.")
	p.OpenStatus("/-/first_user", http.StatusNotFound) // there is no second
}

// serve builds the server and runs it until the test ends.
func (w *world) serve() {
	w.t.Helper()
	binary := filepath.Join(w.dir, "sluice")
	if out, err := exec.CommandContext(w.t.Context(), "go", "build", "-o", binary, "../../cmd/sluice").CombinedOutput(); err != nil {
		w.t.Fatalf("build the server: %v\n%s", err, out)
	}
	w.trust()
	var output lockedBuffer
	cmd := exec.Command(binary, "serve", "--data", filepath.Join(w.dir, "data"), "--listen", "127.0.0.1:0", "--allow-private-destinations")
	cmd.Env = []string{"SLUICE_ADMIN_TOKEN=" + adminToken, "SSL_CERT_FILE=" + filepath.Join(w.dir, trusted), "HOME=" + w.dir}
	cmd.Stderr = &output
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	w.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case err := <-ended:
			if err != nil {
				w.t.Errorf("the server ended with %v: %s", err, output.String())
			}
		case <-time.After(webtest.Patience):
			_ = cmd.Process.Kill()
			w.t.Errorf("the server did not end: %s", output.String())
		}
	})
	address := regexp.MustCompile(`Sluice listens on (\S+) `)
	until(w.t, "the server to answer", func() bool {
		m := address.FindStringSubmatch(output.String())
		if m == nil {
			return false
		}
		w.url = m[1]
		resp, err := http.Get(w.url + "/readyz")
		return err == nil && resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
	})
}

// lockedBuffer takes a server's output while it runs.
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

// until waits for a condition outside of the browser.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), webtest.Patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited %s for %s", webtest.Patience, what)
		}
	}
}

// call makes a request as the administrator, which has to be granted. The answer is
// JSON, unless it goes into bytes.
func (w *world) call(method, path string, body, into any) {
	w.t.Helper()
	w.callAs(adminToken, method, path, body, into)
}

// callAs makes one with another token.
func (w *world) callAs(token, method, path string, body, into any) {
	w.t.Helper()
	var raw []byte
	if text, is := body.(string); is {
		raw = []byte(text)
	} else if body != nil {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			w.t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, bytes.NewReader(raw))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		w.t.Fatalf("%s %s: got %d, %v: %s", method, path, resp.StatusCode, err, text)
	}
	if raw, is := into.(*[]byte); is {
		*raw = text
		return
	}
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			w.t.Fatalf("%s %s: got %s: %v", method, path, text, err)
		}
	}
}

// hide has every page fail the test that holds one of the texts from now on.
func (w *world) hide(texts ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.secrets = append(w.secrets, texts...)
}

func (w *world) hidden() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.secrets...)
}

// window opens a window in which nobody is signed in.
func (w *world) window(t *testing.T, noScripts bool) *person {
	t.Helper()
	win := w.chrome.Window(t, webtest.Config{URL: w.url, NoScripts: noScripts, Secrets: w.hidden})
	return &person{Window: win, world: w, t: t, words: w.words}
}

// person is somebody at a window.
type person struct {
	*webtest.Window
	*world
	t     *testing.T
	words label.Words
}

// signedIn opens a window in which somebody is signed in.
func (w *world) signedIn(t *testing.T, name string) *person {
	t.Helper()
	p := w.window(t, false)
	p.signIn(name)
	return p
}

func (p *person) signIn(name string) {
	p.t.Helper()
	p.Open("/-/sign_in")
	p.Fill("User name", name, "Password", password)
	p.Follow("button", "Sign in")
	p.Want(p.words.SearchOrGoTo)
}

// events are of both vocabularies, in two enterprises.
func events() []string {
	return []string{
		`{"id":"7001","event_type":"member_created","entity_path":"acme/platform/api","entity_type":"Project","author_name":"jane","author_id":1,"ip_address":"192.0.2.7","target_details":"joe"}`,
		`{"id":"7002","event_type":"project_visibility_updated","entity_path":"acme/platform","entity_type":"Group","author_name":"jane","change":"visibility","from":"private","to":"public"}`,
		`{"action":"repo.create","business":"acme","org":"platform","repo":"platform/web","actor":"octo","actor_ip":"192.0.2.8","visibility":"private"}`,
		`{"action":"protected_branch.destroy","business":"acme","org":"docs","repo":"docs/handbook","actor":"octo"}`,
		`{"action":"git.clone","business":"acme","org":"platform","repo":"platform/api","actor":"octo","transport_protocol_name":"ssh"}`,
		`{"id":"9001","event_type":"member_destroyed","entity_path":"umbra/vault","entity_type":"Project","author_name":"raccoon"}`,
	}
}

// post sends events, which are delivered and found a moment later.
func (w *world) post(events ...string) {
	w.t.Helper()
	var body strings.Builder
	for _, e := range events {
		fmt.Fprintln(&body, e)
	}
	w.call("POST", "/api/v1/events", body.String(), nil)
}

// trust has the server trust the certificate that test servers have, and another.
func (w *world) trust() {
	w.t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	var err error
	if w.certificate, w.key, _, err = eventhubstest.Certificate(w.dir); err != nil {
		w.t.Fatal(err)
	}
	own, err := os.ReadFile(w.certificate)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.dir, trusted), append(text, own...), 0o600); err != nil {
		w.t.Fatal(err)
	}
}
