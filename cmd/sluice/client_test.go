package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicelog/sluice/client"
)

func TestClientCommands(t *testing.T) {
	a := newAPI(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	secret := write("secret", "very-secret-token\n")
	headers := write("headers", "# ours\nX-Team: a: b\n\nX-Env:prod\n")
	hooks := write("hooks", "# chat\nhttps://hooks.example/1\n\n https://hooks.example/2\n")
	document := write("stream.json", `{"namespace":"acme","kind":"http","config":{"url":"https://example.com"}}`)
	for _, c := range []struct {
		line           string
		code           int
		call           string // the last request
		stdout, stderr string
	}{
		{"namespace create acme/web --kind project", 0, `POST /api/v1/namespaces {"path":"acme/web","kind":"project"}`, "Created project acme/web with id 1.", ""},
		{"namespace list", 0, "GET /api/v1/namespaces", "acme", ""},
		{"token create --namespace acme --name ci", 0, `POST /api/v1/tokens {"kind":"producer","namespace":"acme","name":"ci"}`, "producer\n", "only this once"},
		{"token create --preset-file " + secret, 0, `POST /api/v1/tokens {"kind":"producer","namespace":"","token":"very-secret-token"}`, "very-secret-token", ""},
		{"token create --kind personal --user jane --scope api --scope read_api --expires 2027-01-31", 0,
			`POST /api/v1/tokens {"kind":"personal","namespace":"","user":"jane","scopes":["api","read_api"],"expires_at":"2027-01-31T00:00:00Z"}`, "producer\n", "only this once"},
		{"user create jane --password-file " + secret, 0, `POST /api/v1/users {"name":"jane","password":"very-secret-token"}`, "Created user jane with id u1.", ""},
		{"user create joe --administrator", 0, `POST /api/v1/users {"name":"joe","administrator":true}`, "made-password\n", "only this once"},
		{"user list", 0, "GET /api/v1/users", "u1  jane  enabled  administrator, owner of acme", ""},
		{"user update jane --disabled --administrator=false", 0, `PATCH /api/v1/users/jane {"administrator":false,"disabled":true}`, "Changed user jane with id u1.", ""},
		{"user update jane --new-password", 0, `PATCH /api/v1/users/jane {"password":""}`, "made-password\n", "only this once"},
		{"user update jane --new-password --password-file " + secret, 2, "", "", "exclude each other"},
		{"user update jane", 2, "", "", "nothing to change"},
		{"whoami", 0, "GET /api/v1/me", "roles: owner of acme\ntoken: t3 with api, without an end\n", ""},
		{"member set acme jane --role owner", 0, `POST /api/v1/members {"namespace":"acme","user":"jane","role":"owner"}`, "jane is owner of acme.", ""},
		{"member list --namespace acme", 0, "GET /api/v1/members", "acme       u1    jane  owner", ""},
		{"member remove acme jane", 0, "DELETE /api/v1/members", "jane has no role in acme any more.", ""},
		{"token list", 0, "GET /api/v1/tokens", "7   producer  acme", ""},
		{"token revoke 7 8", 0, "DELETE /api/v1/tokens/8", "Revoked token 7.\nRevoked token 8.\n", ""},
		{"stream create --namespace acme --url https://x.example --header-file " + headers + " --set concurrency=1 --set format=array --secret-file signing_secret=" + secret + " --event-type a --event-type b --filter-namespace acme/web --inactive", 0,
			`POST /api/v1/streams {"namespace":"acme","kind":"http","config":{"concurrency":1,"format":"array","headers":[{"name":"X-Team","value":"a: b","active":true},{"name":"X-Env","value":"prod","active":true}],"url":"https://x.example"},"secrets":{"signing_secret":"very-secret-token"},"filter":{"event_types":["a","b"],"excluded_event_types":null,"namespaces":["acme/web"]},"active":false}`,
			"Created stream 1: acme to http, active.", ""},
		{"stream create --kind splunk --set domain=x.example --set port=443 --set index=2024 --set source=true --set sourcetype=null --set path=\"7\" --set other=5", 0,
			`POST /api/v1/streams {"namespace":"","kind":"splunk","config":{"domain":"x.example","index":"2024","other":5,"path":"7","port":443,"source":"true","sourcetype":null}}`, "Created stream 2", ""},
		{"stream create --namespace acme --event-type a --filter-namespace acme/web --secret-file signing_secret=" + secret + " --dry-run", 0,
			`POST /api/v1/streams/preview {"namespace":"acme","kind":"","filter":{"event_types":["a"],"excluded_event_types":null,"namespaces":["acme/web"]}}`, "together    12         3", "40 s behind"},
		{"stream create --namespace acme --dry-run --json", 0, `POST /api/v1/streams/preview {"namespace":"acme","kind":""}`, `"filtered": 3`, ""},
		{"stream create --file " + document, 0, `POST /api/v1/streams {"namespace":"acme","kind":"http","config":{"url":"https://example.com"}}`, "Created stream 3", ""},
		{"stream create --file " + document + " --name x", 2, "", "", "--file and --name exclude each other"},
		{"stream create --namespace acme --url https://x.example --secret-file verification_token=" + secret + " --check", 1,
			`POST /api/v1/streams/check {"namespace":"acme","kind":"http","config":{"url":"https://x.example"},"secrets":{"verification_token":"very-secret-token"}}`, "", "FAILED  accept"},
		{"stream update 1 --name x --set url=https://y.example --set concurrency=4 --secret-file signing_secret=" + secret + " --event-type c --strict", 0,
			`PATCH /api/v1/streams/1 {"config":{"concurrency":4,"url":"https://y.example"},"filter":{"event_types":["c"]},"name":"x","secrets":{"signing_secret":"very-secret-token"},"strict":true}`, "Changed stream 1: acme to http, active.", ""},
		{"stream update 1 --name= --until= --strict=false --no-filter --exclude-event-type d --remove-secret signing_secret --header-file " + headers, 0,
			`PATCH /api/v1/streams/1 {"config":{"headers":[{"name":"X-Team","value":"a: b","active":true},{"name":"X-Env","value":"prod","active":true}]},"filter":{"event_types":[],"excluded_event_types":["d"],"namespaces":[]},"name":"","secrets":{"signing_secret":""},"strict":false,"until":""}`, "", ""},
		{"stream update 1 --file " + document + " --json", 0, `PATCH /api/v1/streams/1 {"namespace":"acme","kind":"http","config":{"url":"https://example.com"}}`, `"ledger"`, ""},
		{"stream update 2 --set domain=2024", 0, `PATCH /api/v1/streams/2 {"config":{"domain":"2024"}}`, "to splunk", ""},
		{"stream update 1 --file " + document + " --name x", 2, "", "", "--file and --name exclude each other"},
		{"stream update 1 --file " + secret, 2, "", "", "must hold a JSON object"},
		{"stream update 1", 2, "", "", "nothing to change"},
		{"stream update 99 --name x", 1, "", "", "there is no such stream"},
		{"stream kinds", 0, "GET /api/v1/kinds", "s3    Amazon S3  config.bucket", ""},
		{"stream kinds --json", 0, "GET /api/v1/kinds", `"title": "Amazon S3"`, ""},
		{"stream kinds s3", 0, "GET /api/v1/kinds", "Objects in a bucket.\n\n- Block public access.\n", ""},
		{"stream kinds s3", 0, "", "config.bucket          Bucket name  text    (required)  The name alone.\nconfig.object_seconds  Seconds      number  60          Or", ""},
		{"stream kinds s3", 0, "", "a|b     a           Which.", ""},
		{"stream kinds s3 --json", 0, "GET /api/v1/kinds", `"label": "Bucket name"`, ""},
		{"stream kinds ftp", 2, "GET /api/v1/kinds", "", "there is no kind \"ftp\"\nThe kinds are s3."},
		{"stream list", 0, "GET /api/v1/streams", "PENDING", ""},
		{"stream list --json", 0, "", `"health"`, ""},
		{"stream show 1", 0, "GET /api/v1/streams/1", "last_error", ""},
		{"stream show 99", 1, "GET /api/v1/streams/99", "", "there is no such stream\n\"sluice stream list\" shows them."},
		{"stream check 1", 1, "POST /api/v1/streams/1/check", "answered 401", ""},
		{"stream pause 1 2", 0, "POST /api/v1/streams/2/pause", "Stream 1 is paused.\nStream 2 is paused.\n", ""},
		{"stream resume 1 --json", 0, "POST /api/v1/streams/1/resume", `"resumed"`, ""},
		{"stream retry 1", 0, "POST /api/v1/streams/1/retry", "Stream 1: nothing to do.\n", ""},
		{"stream replay 1 --start earliest --until 2199-01-01T00:00:00Z --name again --inactive", 0,
			`POST /api/v1/streams {"namespace":"","name":"again","kind":"","start":"earliest","until":"2199-01-01T00:00:00Z","active":false,"copy_of":1}`, "which sends to where stream 1 does", ""},
		{"stream replay 1", 2, "", "", "--start is missing"},
		{"stream retry 1 --json", 0, "POST /api/v1/streams/1/retry", `"retried": false`, ""},
		{"stream delete 1", 1, "GET /api/v1/streams/1", "", "not deleted"},
		{"stream delete 1 --yes", 0, "DELETE /api/v1/streams/1", "Stream 1 is deleted.", ""},
		{"stream attempts 1", 0, "GET /api/v1/streams/1/attempts", "unavailable (503)  audit:1-3  busy", ""},
		{"stream attempts 1 --json", 0, "", `"first_seq": 1`, ""},
		{"stream activity 1 --minutes 5", 0, "GET /api/v1/streams/1/activity", "17", ""},
		{"stream activity x", 2, "", "", "must be a number"},
		{"stream lag 1 --hours 5", 0, "GET /api/v1/streams/1/lag", "3m10s", ""},
		{"namespace counts --namespace acme", 0, "GET /api/v1/counts", "10      b 5, c 2, d 2", ""},
		{"namespace counts --namespace acme --by namespace", 0, "GET /api/v1/counts", "10      acme/web 7, acme 2, (in namespaces that are not told apart: 1)", ""},
		{"namespace counts", 2, "", "", "give --namespace, or --instance"},
		{"notice list --instance", 0, "GET /api/v1/notices", "Nobody is told.", ""},
		{"notice set --namespace acme --email a@b.example --url-file " + hooks, 0,
			`PUT /api/v1/notices {"addresses":[{"kind":"email","address":"a@b.example"},{"kind":"http","address":"https://hooks.example/1"},{"kind":"http","address":"https://hooks.example/2"}]}`, "https://hooks.example/2", ""},
		{"notice set --namespace acme --none", 0, `PUT /api/v1/notices {"addresses":[]}`, "Nobody is told.", ""},
		{"notice set --namespace acme", 2, "", "", "or --none"},
		{"notice set --namespace acme --none --email a@b.example", 2, "", "", "or --none"},
		{"notice set --namespace acme --instance --none", 2, "", "", "give --namespace, or --instance"},
		{"notice test --namespace acme", 1, "POST /api/v1/notices/test", "http: answered 403", ""},
		{"info", 0, "GET /api/v1/info", "192.0.2.0/28", ""},
		{"stream quarantine list 1", 0, "GET /api/v1/streams/1/quarantine", "audit:17", ""},
		{"stream quarantine redeliver 1 audit:17 git:4", 0, `POST /api/v1/streams/1/quarantine/redeliver {"events":[{"partition":"audit","seq":17},{"partition":"git","seq":4}]}`, "redeliver of 2 events", ""},
		{"stream quarantine redeliver 1 audit:17 audit:17 audit:17", 0, "", "redeliver of 2 events; 1 are not", ""},
		{"stream quarantine drop 1 --all", 0, `POST /api/v1/streams/1/quarantine/drop {"all":true}`, "drop of 1 events", ""},
		{"stream quarantine drop 1", 2, "", "", "or give --all"},
		{"stream quarantine drop 1 audit", 2, "", "", "must be PARTITION:SEQ"},
	} {
		got := sluiceRun(t.Context(), a.environ(), "", strings.Fields(c.line)...)
		if got.code != c.code || !strings.Contains(got.stdout, c.stdout) || !strings.Contains(got.stderr, c.stderr) {
			t.Errorf("sluice %s: got %+v, want code %d, stdout with %q, stderr with %q", c.line, got, c.code, c.stdout, c.stderr)
		}
		if call := a.lastCall(); c.call != "" && call != c.call {
			t.Errorf("sluice %s: got request %s, want %s", c.line, call, c.call)
		}
	}
}

// TestLetIn: the addresses that deliveries come from are no advice about a wrong
// password.
func TestLetIn(t *testing.T) {
	for _, c := range []struct {
		stage client.Stage
		want  bool
	}{
		{client.Stage{Name: "connect", Message: "the connection was refused"}, true},
		{client.Stage{Name: "accept", Message: "the destination answered 403 Forbidden"}, true},
		{client.Stage{Name: "authenticate", Message: "the namespace's firewall does not let this server in"}, true},
		{client.Stage{Name: "authenticate", Message: "the destination answered 401 Unauthorized"}, false},
		{client.Stage{Name: "resolve", Message: "the host name is not known"}, false},
	} {
		var out strings.Builder
		r := client.CheckResult{Stages: []client.Stage{c.stage}, EgressAddresses: []string{"192.0.2.0/28"}}
		if err := reportCheck(&out, r, false); err == nil || strings.Contains(out.String(), "192.0.2.0/28") != c.want {
			t.Errorf("%s %q: got %q, %v, want failed with the addresses %t", c.stage.Name, c.stage.Message, out.String(), err, c.want)
		}
	}
}

func TestConnection(t *testing.T) {
	a := newAPI(t)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret\nmore\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		environ []string
		args    []string
		code    int
		stderr  string
	}{
		{"flags", nil, []string{"--server", a.URL, "--token-file", token}, 0, ""},
		{"environment", a.environ(), nil, 0, ""},
		{"file in the environment", []string{"SLUICE_SERVER=" + a.URL, "SLUICE_TOKEN_FILE=" + token}, nil, 0, ""},
		{"flag over environment", []string{"SLUICE_SERVER=http://127.0.0.1:1", "SLUICE_TOKEN=wrong"}, []string{"--server", a.URL + "/", "--token-file", token}, 0, ""},
		{"wrong token", []string{"SLUICE_SERVER=" + a.URL, "SLUICE_TOKEN=wrong"}, nil, 1, "unknown token\nMake one."},
		{"nobody there", []string{"SLUICE_SERVER=http://127.0.0.1:1", "SLUICE_TOKEN=x"}, nil, 1, "cannot reach the server"},
		{"no address", []string{"SLUICE_SERVER=127.0.0.1:8080", "SLUICE_TOKEN=x"}, nil, 2, "must be an address"},
		{"another server", []string{"SLUICE_SERVER=" + a.URL + "/elsewhere", "SLUICE_TOKEN=secret"}, nil, 1, "answered 404 Not Found\nIs that the address of a Sluice server?"},
		{"no file", []string{"SLUICE_SERVER=" + a.URL}, []string{"--token-file", "/nowhere"}, 1, "read secret"},
	} {
		got := sluiceRun(t.Context(), c.environ, "", append([]string{"namespace", "list"}, c.args...)...)
		if got.code != c.code || !strings.Contains(got.stderr, c.stderr) {
			t.Errorf("%s: got %+v, want code %d, stderr with %q", c.name, got, c.code, c.stderr)
		}
	}
}
