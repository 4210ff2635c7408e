package splunk

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

func checkConfig(config string, secrets destination.Secrets) (string, error) {
	out, err := Kind{}.Check(json.RawMessage(config), secrets, destination.Rules{})
	return string(out), err
}

func good() destination.Secrets { return destination.Secrets{Token: testToken} }

func TestCanonicalForm(t *testing.T) {
	for in, want := range map[string]string{
		`{"domain":" splunk.test "}`: `{"domain":"splunk.test","port":8088,"ssl_verify":true,"path":"/services/collector/event","indexer_ack":"auto"}`,
		`{"domain":"[::1]","port":443,"ssl_verify":false,"path":"","indexer_ack":"off"}`: `{"domain":"::1","port":443,"ssl_verify":false,` +
			`"path":"/services/collector/event","indexer_ack":"off"}`,
		`{"domain":"10.0.0.1","path":"/hec/services/collector","index":"audit","source":"sluice","sourcetype":"a:b","indexer_ack":"require"}`: `{"domain":"10.0.0.1",` +
			`"port":8088,"ssl_verify":true,"path":"/hec/services/collector","index":"audit","source":"sluice","sourcetype":"a:b","indexer_ack":"require"}`,
		`{"domain":"a_b.test","index":null,"port":null}`: `{"domain":"a_b.test","port":8088,"ssl_verify":true,"path":"/services/collector/event","indexer_ack":"auto"}`,
	} {
		got, err := checkConfig(in, good())
		if err != nil || got != want {
			t.Errorf("Check of %s: got %s, %v, want %s", in, got, err, want)
		}
		again, err := checkConfig(got, good())
		if err != nil || again != got {
			t.Errorf("Check of its own answer: got %s, %v, want %s", again, err, got)
		}
	}
}

func TestWrongConfigurations(t *testing.T) {
	with := func(field string) string { return `{"domain":"splunk.test",` + field + `}` }
	for _, c := range [][2]string{
		{``, "config.domain is required"},
		{`[]`, "config must be a JSON object"},
		{with(`"token":"x"`), `config has no field "token"`},
		{with(`"ssl_verify":"no"`), "config.ssl_verify must be true or false"},
		{`{"domain":7}`, "config.domain must be a string"},
		{`{"domain":"https://splunk.test"}`, "config.domain must be a host name without https://"},
		{`{"domain":"splunk.test/x"}`, "config.domain must be a host name without"},
		{`{"domain":"u@splunk.test"}`, "config.domain must be a host name without"},
		{`{"domain":"splunk.test:8088"}`, "config.domain must not have a port"},
		{`{"domain":"splünk.test"}`, "config.domain has characters"},
		{`{"domain":"splunk test"}`, "config.domain has characters"},
		{`{"domain":"fe80::1%eth0"}`, "config.domain must not have a port"},
		{`{"domain":"` + strings.Repeat("x", 254) + `"}`, "config.domain must have at most 253 characters"},
		{with(`"port":0`), "config.port must be 1 to 65535"},
		{with(`"port":65536`), "config.port must be 1 to 65535"},
		{with(`"port":"443"`), "config.port must be a whole number"},
		{with(`"path":"services"`), "config.path must begin with /"},
		{with(`"path":"/services/collector?token=x"`), "config.path must consist of"},
		{with(`"path":"/services collector"`), "config.path must consist of"},
		{with(`"path":"/services/collector/raw"`), "config.path must not be the one for raw data"},
		{with(`"path":"/services/../collector"`), "config.path must not have the parts . and .."},
		{with(`"path":"/services/collector/./event"`), "config.path must not have the parts . and .."},
		{with(`"path":"/services%2fcollector"`), "config.path must consist of"},
		{with(`"path":"/` + strings.Repeat("x", 1024) + `"`), "config.path is too long"},
		{with(`"index":"a\nb"`), "config.index must be one line"},
		{with(`"source":"` + strings.Repeat("x", 256) + `"`), "config.source must be one line of at most 255 bytes"},
		{with(`"sourcetype":"\u0000"`), "config.sourcetype must be one line"},
		{with(`"indexer_ack":"yes"`), `config.indexer_ack must be "auto", "require" or "off"`},
		{with(`"indexer_ack":true`), "config.indexer_ack must be a string"},
	} {
		_, err := checkConfig(c[0], good())
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
	for _, c := range []struct {
		secrets destination.Secrets
		want    string
	}{
		{nil, "secrets.token is required"},
		{destination.Secrets{Token: ""}, "secrets.token is required"},
		{destination.Secrets{Token: testToken}, ""},
		{destination.Secrets{Token: "abcd"}, ""},
		{destination.Secrets{Token: "abc"}, "must have 4 to 512 characters"},
		{destination.Secrets{Token: strings.Repeat("x", 513)}, "must have 4 to 512 characters"},
		{destination.Secrets{Token: "Splunk " + testToken}, "must be the token alone"},
		{destination.Secrets{Token: testToken + "\n"}, "visible ASCII"},
		{destination.Secrets{Token: testToken, "password": "x"}, `secrets has no field "password"`},
	} {
		_, err := checkConfig(`{"domain":"splunk.test"}`, c.secrets)
		wantInvalid(t, fmt.Sprintf("token of %d bytes", len(c.secrets[Token])), err, c.want)
		if s := c.secrets[Token]; err != nil && len(s) > 3 && strings.Contains(err.Error(), s) {
			t.Errorf("error: got %q, want no secret in it", err)
		}
	}
}

func TestHosts(t *testing.T) {
	d := destination.NewDialer(destination.DialerConfig{Resolver: destination.Hosts{}})
	for domain, want := range map[string]string{
		"127.0.0.1": "127.0.0.1 is a loopback address", "[::1]": "::1 is a loopback address",
		"unknown.test": "", "1.1.1.1": "", "169.254.169.254": "metadata",
	} {
		err := destination.CheckHosts(t.Context(), d, Kind{}, json.RawMessage(`{"domain":"`+domain+`"}`))
		wantInvalid(t, domain, err, want)
	}
}

// TestNewReceiver tells which changes may show the token to somebody else.
func TestNewReceiver(t *testing.T) {
	before := `{"domain":"splunk.example.com","port":443}`
	for after, want := range map[string]bool{
		before: false,
		`{"domain":"SPLUNK.example.com.","port":443,"index":"audit"}`:   false,
		`{"domain":"eve.example.com","port":443}`:                       true,
		`{"domain":"splunk.example.com"}`:                               true,
		`{"domain":"splunk.example.com","port":443,"ssl_verify":false}`: true,
		`{"domain":""}`: true,
	} {
		if got := (Kind{}).NewReceiver(json.RawMessage(before), json.RawMessage(after)); got != want {
			t.Errorf("%s: got %v, want %v", after, got, want)
		}
	}
	if (Kind{}).NewReceiver(json.RawMessage(`{"domain":"a.example","ssl_verify":false}`), json.RawMessage(`{"domain":"a.example"}`)) {
		t.Error("a certificate that is checked from now on: got true, want false")
	}
}

// TestNoWayToPlainHTTP holds that the switch for verification does not touch
// encryption.
func TestNoWayToPlainHTTP(t *testing.T) {
	for _, verify := range []string{"true", "false"} {
		dst, err := Kind{}.Open(json.RawMessage(`{"domain":"splunk.test","ssl_verify":`+verify+`}`), good(),
			destination.Env{Dialer: destination.NewDialer(destination.DialerConfig{})})
		if err != nil {
			t.Fatalf("Open: got %v, want nil", err)
		}
		c := dst.(*Collector)
		for _, u := range []string{c.events.String(), c.health.String(), c.acks.String()} {
			if want := "https://splunk.test:8088/services/collector/"; !strings.HasPrefix(u, want) {
				t.Errorf("URL with ssl_verify %s: got %s, want it to begin with %s", verify, u, want)
			}
		}
		dst.Close()
	}
}

func TestPathsFollowAPrefix(t *testing.T) {
	for path, want := range map[string]string{
		"/services/collector":              "/services/collector/ack",
		"/services/collector/event/1.0":    "/services/collector/ack",
		"/splunk/services/collector/event": "/splunk/services/collector/ack",
		"/hec":                             "/services/collector/ack",
	} {
		c := newCollector(Config{Domain: "splunk.test", Port: 8088, Path: path}, testToken, destination.Env{}, wire{scheme: "https"}, nil)
		if got := c.acks.Path; got != want {
			t.Errorf("path of acknowledgements for %s: got %s, want %s", path, got, want)
		}
		if got := c.events.Path; got != path {
			t.Errorf("path of events: got %s, want %s", got, path)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add(`{"domain":"splunk.test","port":443,"path":"/services/collector","index":"a","indexer_ack":"require"}`)
	f.Add(`{"domain":"[::1]","ssl_verify":false}`)
	f.Fuzz(func(t *testing.T, config string) {
		canonical, err := checkConfig(config, good())
		if err != nil {
			if _, ok := errors.AsType[*sluice.Error](err); !ok {
				t.Errorf("Check of %q: got %T, want a *sluice.Error", config, err)
			}
			return
		}
		if again, err := checkConfig(canonical, good()); err != nil || again != canonical {
			t.Errorf("Check of %q: got %q, %v, want %q", canonical, again, err, canonical)
		}
		dst, err := Kind{}.Open(json.RawMessage(canonical), good(), destination.Env{Dialer: destination.NewDialer(destination.DialerConfig{})})
		if err != nil {
			t.Fatalf("Open of %q: got %v, want nil", canonical, err)
		}
		dst.Close()
	})
}
