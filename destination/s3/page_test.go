package s3

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// TestSampleOfThePage compares what arrives with what the page for owners shows.
func TestSampleOfThePage(t *testing.T) {
	var sample bytes.Buffer
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		content, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read body: got %v, want nil", err)
		}
		fmt.Fprintf(&sample, "%s %s\n", r.Method, r.URL.Path)
		for _, name := range []string{"Content-Length", "Content-Type", "If-None-Match",
			"X-Amz-Meta-Sluice-Count", "X-Amz-Meta-Sluice-First-Id", "X-Amz-Meta-Sluice-Last-Id"} {
			value := r.Header.Get(name)
			if name == "Content-Length" {
				value = fmt.Sprint(r.ContentLength)
			}
			fmt.Fprintf(&sample, "%s: %s\n", name, value)
		}
		fmt.Fprintf(&sample, "\n%s", unpack(t, content))
	}))
	defer server.Close()
	b := openAt(t, server.URL, testSecret, testEnv(), map[string]any{"prefix": "audit"})
	defer b.Close()
	if _, err := b.Put(t.Context(), object(t, b, 2)); err != nil {
		t.Fatalf("Put: got %v, want nil", err)
	}
	page, err := os.ReadFile("../../docs/destinations/s3.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```\nPUT ")
	shown, _, _ := strings.Cut(rest, "```")
	if got, want := sample.String(), "PUT "+shown; got != want {
		t.Errorf("what arrives: got\n%s\nthe page shows\n%s", got, want)
	}
	if want := "Block public access to the bucket to protect your audit log."; !strings.Contains(string(page), want) {
		t.Errorf("page: got no %q", want)
	}
}
