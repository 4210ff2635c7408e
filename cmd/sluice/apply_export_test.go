package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestApplyExport: what is exported, applied, changes nothing.
func TestApplyExport(t *testing.T) {
	a := newPeople(t)
	a.want(exitOK, "Read back", "", "people.yaml", "--secret-dir", filepath.Join(a.dir, "secrets"))
	for _, file := range []string{"least.yaml", "full.yaml"} {
		a.want(exitOK, "Read back", "", file)
		a.call("POST", "/api/v1/streams", `{"namespace":"acme","kind":"http","config":{"url":"http://127.0.0.1:1"}}`, nil)
		for name, args := range map[string][]string{"acme": {"acme"}, "instance": {"--instance"}} {
			got := sluiceRun(t.Context(), a.environ, "", append([]string{"apply", "export"}, args...)...)
			if got.code != exitOK {
				t.Fatalf("export %s: got %+v", name, got)
			}
			for _, secret := range a.hidden {
				if strings.Contains(got.stdout, secret) {
					t.Errorf("export %s: got %q in it: %s", name, secret, got.stdout)
				}
			}
			a.write("exported.yaml", got.stdout)
			a.environ = append(a.environ, "NOTICE_1=http://127.0.0.1:1/hooks/"+appliedQuery, "WEB_URL=http://127.0.0.1:1/in?key="+appliedQuery,
				"WEB_AUTHORIZATION="+appliedHeader, "WEB_X_TEAM=audit", "WEB_SIGNING_SECRET="+appliedSigning,
				"SPLUNK_TOKEN="+appliedHEC, "BUCKET_SECRET_ACCESS_KEY="+appliedKey, "GOOGLE_PRIVATE_KEY="+a.googleKey, "HUB_CONNECTION_STRING="+a.hub)
			plan := a.want(exitOK, nothingToDo, "", "exported.yaml", "--plan")
			if name == "instance" {
				continue
			}
			if !strings.Contains(got.stdout, "# Stream ") || !strings.Contains(plan.stdout, "Not in the files: stream ") {
				t.Errorf("got %s and %s, want the stream without a name in both", got.stdout, plan.stdout)
			}
			a.want(exitOK, "the secrets were the same", "", "exported.yaml", "--send-secrets")
		}
	}
	for line, want := range map[string]string{"apply export": "give a NAMESPACE", "apply export --instance acme": "give a NAMESPACE", "apply export acme/web": ""} {
		if got := sluiceRun(t.Context(), a.environ, "", strings.Fields(line)...); got.code == exitOK || !strings.Contains(got.stderr, want) {
			t.Errorf("%s: got %+v, want an error with %q", line, got, want)
		}
	}
}

// TestApplyExportNamesVariables: whatever a stream is called, the variables of its
// secrets can be set in a shell, and are allowed in a file.
func TestApplyExportNamesVariables(t *testing.T) {
	a := newApplied(t)
	for name, want := range map[string]string{"1st": "STREAM_1ST_TOKEN", "sluice x": "STREAM_SLUICE_X_TOKEN", "Größe": "GR__E_TOKEN"} {
		a.call("POST", "/api/v1/streams", `{"namespace":"acme","name":"`+name+`","kind":"splunk","config":{"domain":"127.0.0.1"},"secrets":{"token":"`+appliedHEC+`"}}`, nil)
		got := sluiceRun(t.Context(), a.environ, "", "apply", "export", "acme")
		if !strings.Contains(got.stdout, "# "+want+": the secret token of stream "+name+"\n") || !strings.Contains(got.stdout, "token: {env: "+want+"}\n") {
			t.Errorf("%s: got %+v, want the variable %s", name, got, want)
		}
	}
}
