package cloudlogging

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

const validConfig = `{"project_id":"acme-audit-1234","client_email":"sluice@acme-audit-1234.iam.gserviceaccount.com","log_id":"audit/acme"}`

func TestCanonicalConfig(t *testing.T) {
	pem := destination.Secrets{PrivateKey: testAccount().PEM()}
	file := destination.Secrets{PrivateKey: testAccount().File()}
	admin := destination.Rules{Administrator: true}
	for _, c := range []struct {
		name, in string
		secrets  destination.Secrets
		rules    destination.Rules
		want     string
	}{
		{"complete", validConfig, pem, destination.Rules{}, validConfig},
		{"blanks", strings.ReplaceAll(validConfig, `":"`, `":" `), pem, destination.Rules{}, validConfig},
		{"default log", `{"project_id":"acme-audit-1234","client_email":"a@b.example"}`, pem, destination.Rules{},
			`{"project_id":"acme-audit-1234","client_email":"a@b.example","log_id":"audit_events"}`},
		{"e-mail of the key file", `{"project_id":"acme-audit-1234","log_id":"audit/acme"}`, file, destination.Rules{}, validConfig},
		{"the same e-mail twice", validConfig, file, destination.Rules{}, validConfig},
		{"Google's own addresses", `{"project_id":"acme-audit-1234","log_id":"audit/acme","endpoint":"https://logging.googleapis.com/","token_url":"https://oauth2.googleapis.com/token"}`,
			file, destination.Rules{}, validConfig},
		{"other addresses", validConfig[:len(validConfig)-1] + `,"endpoint":"https://logs.example:8443/google/","token_url":"https://id.example/t"}`, pem, admin,
			validConfig[:len(validConfig)-1] + `,"endpoint":"https://logs.example:8443/google","token_url":"https://id.example/t"}`},
		{"http", validConfig[:len(validConfig)-1] + `,"endpoint":"http://127.0.0.1:80"}`, pem, destination.Rules{Administrator: true, AllowInsecure: true},
			validConfig[:len(validConfig)-1] + `,"endpoint":"http://127.0.0.1:80"}`},
	} {
		got, err := Kind{}.Check(json.RawMessage(c.in), c.secrets, c.rules)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %s, %v, want %s", c.name, got, err, c.want)
			continue
		}
		checkSecrets(t, string(got))
		again, err := Kind{}.Check(got, c.secrets, c.rules)
		if err != nil || string(again) != c.want {
			t.Errorf("%s: checked again: got %s, %v, want no change", c.name, again, err)
		}
	}
}

func TestConfigsThatAreRefused(t *testing.T) {
	with := func(field, value string) string {
		var m map[string]any
		if err := json.Unmarshal([]byte(validConfig), &m); err != nil {
			t.Fatal(err)
		}
		m[field] = json.RawMessage(value)
		out, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	admin := destination.Rules{Administrator: true}
	pem := testAccount().PEM()
	quoted, _ := json.Marshal(pem) // a string has a JSON form
	for _, c := range []struct {
		name, in, secret string
		rules            destination.Rules
		want             string
	}{
		{"no configuration", ``, pem, admin, "config.project_id is required"},
		{"not JSON", `{`, pem, admin, "not valid JSON"},
		{"unknown field", with("projectId", `"x"`), pem, admin, `no field "projectId"`},
		{"number", with("project_id", `7`), pem, admin, "must be a string"},
		{"short project", with("project_id", `"acme"`), pem, admin, "6 to 30"},
		{"project in capitals", with("project_id", `"Acme-audit"`), pem, admin, "lowercase"},
		{"project with a hyphen last", with("project_id", `"acme-audit-"`), pem, admin, "end with a letter or a digit"},
		{"project as a path", with("project_id", `"acme/logs/evil"`), pem, admin, "lowercase letters"},
		{"no e-mail", with("client_email", `""`), pem, admin, "config.client_email is required"},
		{"not an e-mail", with("client_email", `"sluice"`), pem, admin, "e-mail address"},
		{"e-mail with a line end", with("client_email", `"a@b.example\nc"`), pem, admin, "e-mail address"},
		{"long e-mail", with("client_email", `"`+strings.Repeat("a", 250)+`@b.example"`), pem, admin, "254"},
		{"e-mail of another account", validConfig, strings.ReplaceAll(testAccount().File(), "sluice@", "other@"), admin, "different service accounts"},
		{"bad e-mail in the key file", with("client_email", `""`), strings.ReplaceAll(testAccount().File(), "sluice@", " @"), admin, "the key file's client_email"},
		{"empty log", with("log_id", `""`), pem, admin, "config.log_id"},
		{"log with a blank", with("log_id", `"audit events"`), pem, admin, "config.log_id"},
		{"log with an escape", with("log_id", `"audit%2Facme"`), pem, admin, "config.log_id"},
		{"long log", with("log_id", `"`+strings.Repeat("a", 512)+`"`), pem, admin, "511"},
		{"no key", validConfig, "", admin, "secrets.private_key is required"},
		{"key in the configuration", with("private_key", string(quoted)), pem, admin, "does not belong into the configuration"},
		{"key file in the configuration", with("key_file", `{"type":"service_account"}`), pem, admin, "does not belong into the configuration"},
		{"endpoint of an owner", with("endpoint", `"https://logs.example"`), pem, destination.Rules{AllowInsecure: true}, "administrators only"},
		{"token endpoint of an owner", with("token_url", `"https://id.example"`), pem, destination.Rules{AllowInsecure: true}, "administrators only"},
		{"endpoint without TLS", with("endpoint", `"http://logs.example"`), pem, admin, "config.endpoint must start with https://"},
		{"token endpoint without TLS", with("token_url", `"http://id.example"`), pem, admin, "config.token_url must start with https://"},
		{"another scheme", with("endpoint", `"file:///etc/passwd"`), pem, admin, "must be a URL"},
		{"no host", with("endpoint", `"https://"`), pem, admin, "must be a URL"},
		{"port", with("endpoint", `"https://logs.example:99999"`), pem, admin, "must be a URL"},
		{"password", with("endpoint", `"https://u:hunter2@logs.example"`), pem, admin, "must not hold a password"},
		{"query", with("token_url", `"https://id.example/?key=hunter2"`), pem, admin, "must not hold"},
		{"host with other characters", with("endpoint", `"https://lögs.example"`), pem, admin, "host name"},
		{"long address", with("endpoint", `"https://logs.example/`+strings.Repeat("x", maxURL)+`"`), pem, admin, "at most 2048"},
	} {
		_, err := Kind{}.Check(json.RawMessage(c.in), destination.Secrets{PrivateKey: c.secret}, c.rules)
		e, ok := err.(*sluice.Error)
		if !ok || e.Code != sluice.Invalid || !strings.Contains(e.Message, c.want) {
			t.Errorf("%s: got %v, want an error with code invalid and %q", c.name, err, c.want)
			continue
		}
		checkSecrets(t, e.Message+e.Hint)
		if strings.Contains(e.Message+e.Hint, "hunter2") {
			t.Errorf("%s: got %q, want no password in it", c.name, e.Message+e.Hint)
		}
	}
}

func TestHosts(t *testing.T) {
	for in, want := range map[string][]string{
		validConfig: {"logging.googleapis.com", "oauth2.googleapis.com"},
		validConfig[:len(validConfig)-1] + `,"endpoint":"https://[2001:db8::1]:8443","token_url":"https://id.example/t"}`: {"2001:db8::1", "id.example"},
		`{}`: nil,
	} {
		if got := (Kind{}).Hosts(json.RawMessage(in)); !slices.Equal(got, want) {
			t.Errorf("Hosts of %s: got %q, want %q", in, got, want)
		}
	}
}

func TestOpenNeedsKeyAndConfig(t *testing.T) {
	for name, open := range map[string]func() (destination.Destination, error){
		"no key": func() (destination.Destination, error) {
			return Kind{}.Open(json.RawMessage(validConfig), nil, loopbackEnv())
		},
		"no configuration": func() (destination.Destination, error) { return Kind{}.Open(nil, testSecrets(), loopbackEnv()) },
		"another account": func() (destination.Destination, error) {
			other := strings.ReplaceAll(testAccount().File(), "sluice@", "other@")
			return Kind{}.Open(json.RawMessage(validConfig), destination.Secrets{PrivateKey: other}, loopbackEnv())
		},
	} {
		if _, err := open(); err == nil {
			t.Errorf("Open with %s: got nil, want an error", name)
		} else {
			checkSecrets(t, err.Error())
		}
	}
}
