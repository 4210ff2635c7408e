package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A key is rotated in a running server, which then also starts with it.
func TestSecretsRotate(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := startServer(t, data, http.DefaultClient)
	body := `{"namespace":"acme","kind":"http","config":{"url":"http://127.0.0.1:1/in","headers":[{"name":"X-Key","value":"header-value"}]},"active":false}`
	if code := s.call("POST", "/api/v1/streams", body, nil); code != http.StatusCreated {
		t.Fatalf("create: got status %d", code)
	}
	environ := func() []string { return []string{"SLUICE_SERVER=" + s.url, "SLUICE_TOKEN=" + adminToken} }
	before, err := os.ReadFile(filepath.Join(data, "sluice.key"))
	if err != nil {
		t.Fatal(err)
	}
	res := sluiceRun(t.Context(), environ(), "", "secrets", "rotate")
	if res.code != exitOK || !strings.Contains(res.stderr, "Sealed 2 of 2 values") || !strings.Contains(res.stdout, "old, not needed") {
		t.Errorf("rotate: got %+v, want progress and the keys", res)
	}
	if res := sluiceRun(t.Context(), environ(), "", "secrets", "rotate", "--prune", "--json"); res.code != exitOK || strings.Count(res.stdout, `"id"`) != 1 {
		t.Errorf("rotate --prune: got %+v, want one key", res)
	}
	after, err := os.ReadFile(filepath.Join(data, "sluice.key"))
	if err != nil || strings.Count(string(after), "\nkey ") != 1 || string(after) == string(before) {
		t.Errorf("key file: got %d keys, error %v, want another one", strings.Count(string(after), "\nkey "), err)
	}
	s.stop()
	s = startServer(t, data, http.DefaultClient, "--existing")
	var view struct {
		Config struct{ Headers []struct{ Value string } }
	}
	if code := s.call("GET", "/api/v1/streams/1", "", &view); code != 200 || view.Config.Headers[0].Value != "header-value" {
		t.Errorf("after the restart: got status %d and %+v, want the header's value", code, view)
	}
	if res := sluiceRun(t.Context(), environ(), "", "secrets", "status"); res.code != exitOK || !strings.Contains(res.stdout, "current") {
		t.Errorf("status: got %+v", res)
	}
	// Nothing to prune is no error.
	if res := sluiceRun(t.Context(), environ(), "", "secrets", "prune"); res.code != exitOK {
		t.Errorf("prune: got %+v", res)
	}
}
