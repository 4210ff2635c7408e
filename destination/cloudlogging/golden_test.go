package cloudlogging

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/destination/cloudlogging/cloudloggingtest"
	"github.com/sluicelog/sluice/destination/destinationtest"
)

var update = flag.Bool("update", false, "write the golden file anew")

// TestGolden compares what arrives with the sample of
// docs/destinations/cloudlogging.md: unpacked, and with line ends between the
// members for the eye.
func TestGolden(t *testing.T) {
	const path = "testdata/write.http"
	tokens := cloudloggingtest.New(testAccount().Config())
	arrived := make(chan string, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == cloudloggingtest.TokenPath {
			tokens.ServeHTTP(w, r)
			return
		}
		arrived <- show(r)
		io.WriteString(w, "{}")
	}))
	defer s.Close()
	dst := openAt(t, s.URL, testSecrets(), loopbackEnv())
	defer dst.Close()
	b := destinationtest.Batch(2)
	b.Events[1].Payload = []byte(`{"id":"e-1","event_type":"project_created","entity_path":"acme/web","created_at":"2026-03-01T10:00:01.123Z","details":{"note":"tést 1","number":9007199254740993}}`)
	if res := dst.Send(t.Context(), b); res.Err != nil {
		t.Fatalf("Send: got %v, want delivered", res.Err)
	}
	got := strings.ReplaceAll(<-arrived, strings.TrimPrefix(s.URL, "http://"), "logging.googleapis.com")
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
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
	}
	guide, err := os.ReadFile("../../docs/destinations/cloudlogging.md")
	if err != nil {
		t.Fatalf("read guide: got %v, want nil", err)
	}
	if !bytes.Contains(guide, want) {
		t.Errorf("docs/destinations/cloudlogging.md: got no copy of %s, want one:\n%s", path, want)
	}
}

// show writes a request as the page shows it.
func show(r *http.Request) string {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s %s %s\nHost: %s\n", r.Method, r.URL, r.Proto, r.Host)
	r.Header.Set("Authorization", string(tokenPattern.ReplaceAll([]byte(r.Header.Get("Authorization")), []byte("ACCESS_TOKEN"))))
	r.Header.Del("Content-Length")
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		fmt.Fprintf(&out, "%s: %s\n", name, strings.Join(r.Header[name], ", "))
	}
	out.WriteString("\n")
	zip, err := gzip.NewReader(r.Body)
	if err != nil {
		return err.Error()
	}
	body, err := io.ReadAll(zip)
	if err != nil {
		return err.Error()
	}
	if err := json.Indent(&out, body, "", "  "); err != nil {
		return err.Error()
	}
	return out.String() + "\n"
}
