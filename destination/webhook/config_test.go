package webhook

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/destinationtest"
)

func checkConfig(config string, secrets destination.Secrets) (string, error) {
	out, err := Kind{}.Check(json.RawMessage(config), secrets, destination.Rules{})
	return string(out), err
}

func TestCanonicalForm(t *testing.T) {
	for in, want := range map[string]string{
		`{"url":" https://a.test/x "}`:                                                    `{"url":"https://a.test/x","headers":[],"format":"event","concurrency":16,"ssl_verify":true}`,
		`{"url":"http://[::1]:8080","concurrency":64}`:                                    `{"url":"http://[::1]:8080","headers":[],"format":"event","concurrency":64,"ssl_verify":true}`,
		`{"url":"HTTPS://a.test","format":"array"}`:                                       `{"url":"HTTPS://a.test","headers":[],"format":"array","ssl_verify":true}`,
		`{"url":"http://a.test","format":"ndjson","ssl_verify":false,"concurrency":null}`: `{"url":"http://a.test","headers":[],"format":"ndjson","ssl_verify":false}`,
		`{"url":"http://a.test","headers":[{"name":"X-A","value":"1"},{"name":"x-b","value":"zwei","active":false}]}`: `{"url":"http://a.test",` +
			`"headers":[{"name":"X-A","value":"1","active":true},{"name":"x-b","value":"zwei","active":false}],"format":"event","concurrency":16,"ssl_verify":true}`,
	} {
		got, err := checkConfig(in, nil)
		if err != nil || got != want {
			t.Errorf("Check of %s: got %s, %v, want %s", in, got, err, want)
		}
		again, err := checkConfig(got, nil)
		if err != nil || again != got {
			t.Errorf("Check of its own answer: got %s, %v, want %s", again, err, got)
		}
	}
}

// header returns a configuration with one header.
func header(name, value string) string {
	config, _ := json.Marshal(map[string]any{"url": "https://a.test", "headers": []map[string]string{{"name": name, "value": value}}})
	return string(config)
}

func TestWrongConfigurations(t *testing.T) {
	many := strings.Repeat(`{"name":"a","value":"b"},`, 21)
	cases := [][2]string{
		{``, "config.url is required"},
		{`{}`, "config.url is required"},
		{`[]`, "config must be a JSON object"},
		{`{"url":7}`, "config.url must be a string"},
		{`{"url":"https://a.test","token":"x"}`, `config has no field "token"`},
		{`{"url":"ftp://a.test"}`, "config.url must start with http:// or https://"},
		{`{"url":"a.test/x"}`, "config.url must start with"},
		{`{"url":"https:a.test"}`, "config.url must name a host"},
		{`{"url":"https:///x"}`, "config.url must name a host"},
		{`{"url":"https://:443/x"}`, "config.url must name a host"},
		{`{"url":"https://u:p@a.test"}`, "config.url must not hold a user name"},
		{`{"url":"https://a.test/#x"}`, "config.url must not have a fragment"},
		{`{"url":"https://a.test/#"}`, "config.url must not have a fragment"},
		{`{"url":"https://a.test:0"}`, "config.url has a port"},
		{`{"url":"https://a.test:70000"}`, "config.url has a port"},
		{`{"url":"https://a.test:"}`, "config.url has a port"},
		{`{"url":"https://bücher.test"}`, "config.url has a host name"},
		{`{"url":"https://[fe80::1%25eth0]/"}`, "config.url has a host name"},
		{`{"url":"https://a test/"}`, "config.url is not a valid URL"},
		{`{"url":"https://a.test/\n"}`, ""}, // surrounding blanks are cut
		{`{"url":"https://a.test/\nx"}`, "config.url is not a valid URL"},
		{`{"url":"https://a.test/` + strings.Repeat("x", 2048) + `"}`, "config.url must have at most 2048 bytes"},
		{`{"url":"https://a.test","format":"xml"}`, `config.format must be "event", "array" or "ndjson"`},
		{`{"url":"https://a.test","format":"EVENT"}`, "config.format must be"},
		{`{"url":"https://a.test","concurrency":0}`, "config.concurrency must be 1 to 64"},
		{`{"url":"https://a.test","concurrency":65}`, "config.concurrency must be 1 to 64"},
		{`{"url":"https://a.test","concurrency":"4"}`, "config.concurrency must be a whole number"},
		{`{"url":"https://a.test","format":"array","concurrency":4}`, "config.concurrency is for the format"},
		{`{"url":"https://a.test","ssl_verify":"no"}`, "config.ssl_verify must be true or false"},
		{`{"url":"https://a.test","headers":{}}`, "config.headers must be a list"},
		{`{"url":"https://a.test","headers":[` + strings.TrimSuffix(many, ",") + `]}`, "config.headers has more than 20 headers"},
		{`{"url":"https://a.test","headers":["x"]}`, "config.headers[0] must be a JSON object"},
		{`{"url":"https://a.test","headers":[{"key":"x"}]}`, `config.headers[0] has no field "key"`},
		{`{"url":"https://a.test","headers":[{"value":"x"}]}`, "config.headers[0].name is required"},
		{`{"url":"https://a.test","headers":[{"name":"X-A","value":"1"},{"name":"x-a","value":"2"}]}`, "config.headers[1].name: the header x-a is there twice"},
		{header("X-A", " "), "config.headers[0].value is required"},
		{header("X A", "1"), "config.headers[0].name has characters"},
		{header("X-A:", "1"), "config.headers[0].name has characters"},
		{header("X-A\r\nEvil", "1"), "config.headers[0].name has characters"},
		{header("X-Ä", "1"), "config.headers[0].name has characters"},
		{header(strings.Repeat("x", 256), "1"), "config.headers[0].name must have at most 255 bytes"},
		{header("X-A", "1\r\nHost: b"), "config.headers[0].value must be one line"},
		{header("X-A", "1\x00"), "config.headers[0].value must be one line"},
		{header("X-A", strings.Repeat("x", 2001)), "config.headers[0].value must have at most 2000 bytes"},
	}
	for _, name := range []string{"Host", "content-length", "Transfer-Encoding", "Connection", "Upgrade", "TE", "Trailer", "Keep-Alive",
		"Proxy-Authorization", "proxy-x", "Webhook-Id", "webhook-signature", "webhook-anything", "X-Gitlab-Event-Streaming-Token",
		"x-gitlab-audit-event-type", "X-Sluice-Check"} {
		cases = append(cases, [2]string{header(name, "1"), "cannot be set"})
	}
	for _, c := range cases {
		_, err := checkConfig(c[0], nil)
		wantInvalid(t, c[0], err, c[1])
	}
}

func wantInvalid(t *testing.T, what string, err error, want string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Errorf("%s: got %v, want nil", what, err)
		}
		return
	}
	e, ok := errors.AsType[*sluice.Error](err)
	if !ok || e.Code != sluice.Invalid || !strings.Contains(e.Message, want) {
		t.Errorf("%s: got %v, want invalid: %s", what, err, want)
	}
}

func TestSecrets(t *testing.T) {
	key := func(n int) string { return keyPrefix + base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for _, c := range []struct {
		secrets destination.Secrets
		want    string
	}{
		{nil, ""},
		{destination.Secrets{VerificationToken: strings.Repeat("t", 16)}, ""},
		{destination.Secrets{VerificationToken: strings.Repeat("t", 24), SigningSecret: key(24)}, ""},
		{destination.Secrets{VerificationToken: strings.Repeat("t", 15)}, "must have 16 to 24 characters"},
		{destination.Secrets{VerificationToken: strings.Repeat("t", 25)}, "must have 16 to 24 characters"},
		{destination.Secrets{VerificationToken: strings.Repeat("t", 15) + " "}, "visible ASCII"},
		{destination.Secrets{VerificationToken: strings.Repeat("t", 15) + "\n"}, "visible ASCII"},
		{destination.Secrets{"password": "x"}, `secrets has no field "password"`},
		{destination.Secrets{SigningSecret: key(64)}, ""},
		{destination.Secrets{SigningSecret: key(23)}, "secrets.signing_secret must be whsec_"},
		{destination.Secrets{SigningSecret: key(65)}, "secrets.signing_secret must be whsec_"},
		{destination.Secrets{SigningSecret: key(32)[6:]}, "secrets.signing_secret must be whsec_"},
		{destination.Secrets{SigningSecret: key(32) + "\n"}, "secrets.signing_secret must be whsec_"},
		{destination.Secrets{SigningSecret: "whsec_*"}, "secrets.signing_secret must be whsec_"},
		{destination.Secrets{PreviousSigningSecret: key(32)}, "secrets.previous_signing_secret_until must be a time"},
		{destination.Secrets{PreviousSigningSecret: key(32), PreviousSigningSecretUntil: "2026-01-01T00:00:00Z"}, ""},
	} {
		_, err := checkConfig(`{"url":"https://a.test"}`, c.secrets)
		wantInvalid(t, fmt.Sprintf("%d secrets", len(c.secrets)), err, c.want)
		for _, s := range c.secrets {
			if err != nil && len(s) > 1 && strings.Contains(err.Error(), s) {
				t.Errorf("error: got %q, want no secret in it", err)
			}
		}
	}
}

func TestMadeSecretsAreValid(t *testing.T) {
	made := destination.Secrets{VerificationToken: NewVerificationToken(), SigningSecret: NewSigningSecret()}
	if _, err := checkConfig(`{"url":"https://a.test"}`, made); err != nil {
		t.Errorf("Check: got %v, want nil", err)
	}
	if NewVerificationToken() == made[VerificationToken] || NewSigningSecret() == made[SigningSecret] {
		t.Error("made secrets: got the same twice, want others")
	}
}

func TestRotate(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	a, b, c := NewSigningSecret(), NewSigningSecret(), NewSigningSecret()
	first := Rotate(nil, destination.Secrets{SigningSecret: a}, now)
	if len(first) != 1 {
		t.Errorf("first secret: got %d secrets, want 1", len(first))
	}
	second := Rotate(first, destination.Secrets{SigningSecret: b}, now)
	if second[PreviousSigningSecret] != a || second[PreviousSigningSecretUntil] != "2026-03-02T12:00:00Z" {
		t.Errorf("second secret: got until %q, want the first beside it for a day", second[PreviousSigningSecretUntil])
	}
	if same := Rotate(second, second, now.Add(time.Hour)); same[PreviousSigningSecretUntil] != second[PreviousSigningSecretUntil] {
		t.Errorf("no change: got until %q, want %q", same[PreviousSigningSecretUntil], second[PreviousSigningSecretUntil])
	}
	third := destination.Secrets{SigningSecret: c, PreviousSigningSecret: a, PreviousSigningSecretUntil: second[PreviousSigningSecretUntil]}
	if got := Rotate(second, third, now.Add(time.Hour)); got[PreviousSigningSecret] != b {
		t.Error("third secret: got another previous one, want the second")
	}
	if got := Rotate(second, destination.Secrets{}, now); len(got) != 0 {
		t.Errorf("secret removed: got %d secrets, want none", len(got))
	}
}

func TestHosts(t *testing.T) {
	d := destination.NewDialer(destination.DialerConfig{Resolver: destination.Hosts{}})
	for url, want := range map[string]string{
		"http://127.0.0.1:8080/x": "127.0.0.1 is a loopback address", "http://[::1]/x": "::1 is a loopback address",
		"https://unknown.test": "", "https://1.1.1.1": "", "http://169.254.169.254/latest": "metadata",
	} {
		err := destination.CheckHosts(t.Context(), d, Kind{}, json.RawMessage(`{"url":"`+url+`"}`))
		wantInvalid(t, url, err, want)
	}
}

func FuzzCheck(f *testing.F) {
	destinationtest.FuzzCheck(f, Kind{}, nil,
		`{"url":"https://a.test/x?y=z","headers":[{"name":"X-A","value":"1"}],"format":"event","concurrency":4}`,
		`{"url":"http://[::1]:80","format":"ndjson","ssl_verify":false}`,
	)
}
