package cloudlogging

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/cloudlogging/cloudloggingtest"
	"github.com/sluicelog/sluice/destination/destinationtest"
)

const testProject = "acme-audit-1234"

// testAccount makes one key for all tests: making keys is slow.
var testAccount = sync.OnceValue(func() cloudloggingtest.Account {
	a, err := cloudloggingtest.NewAccount(testProject)
	if err != nil {
		panic(err) // the system has no random bytes
	}
	return a
})

func testSecrets() destination.Secrets { return destination.Secrets{PrivateKey: testAccount().PEM()} }

// keyLines are the lines of the private key that no text may show.
func keyLines(pem string) []string {
	var out []string
	for line := range strings.Lines(pem) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "-----") {
			out = append(out, line)
		}
	}
	return out
}

// openAt returns a destination whose API and token endpoint are at url.
func openAt(t testing.TB, url string, secrets destination.Secrets, env destination.Env) destination.Destination {
	t.Helper()
	config, err := json.Marshal(Config{
		ProjectID: testProject, ClientEmail: testAccount().Email, LogID: "audit/acme", Endpoint: url, TokenURL: url + cloudloggingtest.TokenPath,
	})
	if err != nil {
		t.Fatal(err)
	}
	canonical, err := Kind{}.Check(config, secrets, destination.Rules{AllowInsecure: true, Administrator: true})
	if err != nil {
		t.Fatalf("Check: got %v, want nil", err)
	}
	dst, err := Kind{}.Open(canonical, secrets, env)
	if err != nil {
		t.Fatalf("Open: got %v, want nil", err)
	}
	return dst
}

func TestConformance(t *testing.T) {
	tokens := cloudloggingtest.New(testAccount().Config())
	h := destinationtest.Harness{
		Open: func(t *testing.T, url string, env destination.Env) destination.Destination {
			return openAt(t, url, testSecrets(), env)
		},
		BodyDecides: true,

		Read:    readPayloads,
		Secrets: append(keyLines(testAccount().PEM()), "ya29.c."),
		Accept: func(w http.ResponseWriter, _ destinationtest.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, "{}\n")
		},
		Aside: func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == cloudloggingtest.TokenPath {
				tokens.ServeHTTP(w, r)
				return true
			}
			unpack(r)
			return false
		},
	}
	destinationtest.Test(t, h)
}

// unpack replaces a compressed body, whose announced length is that of what
// came, by its content, so that receivers can look for events in it.
func unpack(r *http.Request) {
	packed, err := io.ReadAll(r.Body)
	if err != nil || r.ContentLength != int64(len(packed)) || r.Header.Get("Content-Encoding") != "gzip" {
		return // an empty body follows, which no case takes for events
	}
	zip, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return
	}
	plain, err := io.ReadAll(zip)
	if err != nil {
		return
	}
	r.Header.Del("Content-Encoding")
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(plain)), int64(len(plain))
}

// readPayloads reads the entries' payloads; what a repeated request can be told
// by is its entries' ids.
func readPayloads(t *testing.T, r destinationtest.Request) (payloads [][]byte, id string) {
	t.Helper()
	var q struct {
		Entries []struct {
			InsertID    string          `json:"insertId"`
			JSONPayload json.RawMessage `json:"jsonPayload"`
		} `json:"entries"`
	}
	if err := json.Unmarshal(r.Body, &q); err != nil {
		t.Errorf("body: got %q, want a request of entries.write: %v", r.Body, err)
	}
	for _, e := range q.Entries {
		payloads = append(payloads, e.JSONPayload)
		id += e.InsertID + " "
	}
	return payloads, id
}

// serve starts a Google on loopback until the test ends.
func serve(t testing.TB, change func(*cloudloggingtest.Config)) (*cloudloggingtest.Google, string) {
	t.Helper()
	config := testAccount().Config()
	if change != nil {
		change(&config)
	}
	g := cloudloggingtest.New(config)
	s := httptest.NewServer(g)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return g, s.URL
}

func loopbackEnv() destination.Env {
	return destination.Env{
		Dialer:    destination.NewDialer(destination.DialerConfig{AllowPrivate: true}),
		UserAgent: "Sluice/1.0", Namespace: "acme",
	}
}

// start returns a Google with a destination for it.
func start(t testing.TB, change func(*cloudloggingtest.Config)) (*cloudloggingtest.Google, destination.Destination) {
	t.Helper()
	g, url := serve(t, change)
	dst := openAt(t, url, testSecrets(), loopbackEnv())
	t.Cleanup(func() {
		if err := dst.Close(); err != nil {
			t.Errorf("Close: got %v, want nil", err)
		}
	})
	return g, dst
}

var tokenPattern = regexp.MustCompile(`ya29\.c\.\w+`)

// checkSecrets makes sure that a text shows neither key nor token.
func checkSecrets(t *testing.T, text string) {
	t.Helper()
	for _, line := range keyLines(testAccount().PEM()) {
		if strings.Contains(text, line) {
			t.Errorf("text %q: got a line of the private key in it", text)
		}
	}
	if tokenPattern.MatchString(text) {
		t.Errorf("text %q: got an access token in it", text)
	}
}
