package s3

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/destinationtest"
)

const (
	testKeyID  = "AKIAIOSFODNN7EXAMPLE"
	testSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	testBucket = "auditlog-streaming-test"
)

// openAt returns a bucket at the endpoint with the given other fields.
func openAt(t testing.TB, endpoint, secret string, env destination.Env, fields map[string]any) *Bucket {
	t.Helper()
	all := map[string]any{"bucket": testBucket, "access_key_id": testKeyID, "endpoint": endpoint, "region": "us-east-1"}
	for name, value := range fields {
		all[name] = value
	}
	config, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	secrets := destination.Secrets{SecretAccessKey: secret}
	canonical, err := Kind{}.Check(config, secrets, destination.Rules{AllowInsecure: true})
	if err != nil {
		t.Fatalf("Check: got %v, want nil", err)
	}
	dst, err := Kind{}.Open(canonical, secrets, env)
	if err != nil {
		t.Fatalf("Open: got %v, want nil", err)
	}
	return dst.(*Bucket)
}

// store keeps what a fake server accepted, for those who read it back.
type store struct {
	mu      sync.Mutex
	objects map[string][]byte // compressed, by path
}

// aside serves everything but PUT. It unpacks the content of a PUT, after it has
// looked at the headers, so that the suite reads and compares lines.
func (s *store) aside(t *testing.T, w http.ResponseWriter, r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r.Method {
	case http.MethodGet:
		content, ok := s.objects[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return true
		}
		w.Write(content)
		return true
	case http.MethodDelete:
		delete(s.objects, r.URL.Path)
		w.WriteHeader(http.StatusNoContent)
		return true
	}
	content, err := io.ReadAll(r.Body)
	if err != nil {
		return true // the sender gave up
	}
	for name, want := range map[string]string{
		"Content-Type": "application/gzip", "Content-Encoding": "", "If-None-Match": "*", "Transfer-Encoding": "",
		"X-Amz-Checksum-Sha256": sha256Base64(content), "User-Agent": "sluice-test",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if r.ContentLength != int64(len(content)) {
		t.Errorf("Content-Length: got %d, want %d", r.ContentLength, len(content))
	}
	s.objects[r.URL.Path] = content
	plain := unpack(t, content)
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(plain)), int64(len(plain))
	return false
}

func sha256Base64(p []byte) string {
	sum := sha256.Sum256(p)
	return base64.StdEncoding.EncodeToString(sum[:])
}

func unpack(t testing.TB, content []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		t.Errorf("content: got %v, want gzip", err)
		return nil
	}
	if head := content[3:8]; !bytes.Equal(head, make([]byte, 5)) { // RFC 1952, 2.3: flags and time stamp
		t.Errorf("gzip header: got % x, want neither flags nor a time stamp", head)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Errorf("content: got %v, want gzip to its end", err)
	}
	return plain
}

func TestConformance(t *testing.T) {
	s := &store{objects: map[string][]byte{}}
	destinationtest.Test(t, destinationtest.Harness{
		Open: func(t *testing.T, url string, env destination.Env) destination.Destination {
			return openAt(t, url, testSecret, env, map[string]any{"prefix": "audit/acme"})
		},
		Read: func(t *testing.T, r destinationtest.Request) ([][]byte, string) {
			if !bytes.HasSuffix(r.Body, []byte("\n")) {
				t.Errorf("content: got %q, want it to end with a line end", r.Body)
			}
			if want := "/" + testBucket + "/audit/acme/2026/03/01/10/00/"; !strings.HasPrefix(r.URL, want) {
				t.Errorf("URL: got %q, want it to begin with %q", r.URL, want)
			}
			return bytes.Split(bytes.TrimSuffix(r.Body, []byte("\n")), []byte("\n")), r.URL
		},
		Secrets:     []string{testSecret},
		BodyDecides: true,
		Aside:       func(w http.ResponseWriter, r *http.Request) bool { return s.aside(t, w, r) },
	})
}
