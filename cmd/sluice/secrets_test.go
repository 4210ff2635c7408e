package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/secret"
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

// A server that lost its key file says how it is brought back while it runs.
func TestSecretsRotateWithoutKeyFile(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := startServer(t, data, http.DefaultClient)
	body := `{"namespace":"acme","kind":"http","config":{"url":"http://127.0.0.1:1/in"},"active":false}`
	if code := s.call("POST", "/api/v1/streams", body, nil); code != http.StatusCreated {
		t.Fatalf("create: got status %d", code)
	}
	path := filepath.Join(data, keyName)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	environ := []string{"SLUICE_SERVER=" + s.url, "SLUICE_TOKEN=" + adminToken}
	if res := sluiceRun(t.Context(), environ, "", "secrets", "rotate"); res.code == exitOK || !strings.Contains(res.stderr, "do not stop the server") {
		t.Errorf("rotate without the file: got %+v", res)
	}
	if _, err := secret.CreateKeyFile(path); err != nil { // that of another server
		t.Fatal(err)
	}
	if res := sluiceRun(t.Context(), environ, "", "secrets", "rotate"); res.code != exitOK {
		t.Errorf("rotate with another file: got %+v", res)
	}
	stopped(t, s)
	s = startServer(t, data, http.DefaultClient, "--existing")
	environ[0] = "SLUICE_SERVER=" + s.url
	if res := sluiceRun(t.Context(), environ, "", "secrets", "status"); res.code != exitOK || strings.Contains(res.stdout, "MISSING") || strings.Count(res.stdout, "old") != 2 {
		t.Errorf("status after the restart: got %+v, want three keys in the file", res)
	}
}
