package s3

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

func TestCheckFillsInDefaults(t *testing.T) {
	for given, want := range map[string]string{
		`{"bucket":"b-1","access_key_id":"AKIA"}`:                                               `{"bucket":"b-1","access_key_id":"AKIA","force_path_style":false,"object_bytes":8388608,"object_events":100000,"object_seconds":60}`,
		`{"bucket":" b.1 ","access_key_id":"k","prefix":"/a/b/","endpoint":"https://s3.test/"}`: `{"bucket":"b.1","access_key_id":"k","prefix":"a/b","endpoint":"https://s3.test","force_path_style":true,"object_bytes":8388608,"object_events":100000,"object_seconds":60}`,
		`{"bucket":"b-1","access_key_id":"k","endpoint":"https://s3.test","force_path_style":false,"region":"eu-central-1","object_bytes":65536,"object_events":1,"object_seconds":3600}`: `{"bucket":"b-1","region":"eu-central-1","access_key_id":"k","endpoint":"https://s3.test","force_path_style":false,"object_bytes":65536,"object_events":1,"object_seconds":3600}`,
	} {
		got, err := Kind{}.Check(json.RawMessage(given), destination.Secrets{SecretAccessKey: testSecret}, destination.Rules{})
		if err != nil || string(got) != want {
			t.Errorf("Check of %s: got %s, %v, want %s", given, got, err, want)
		}
		again, err := Kind{}.Check(got, destination.Secrets{SecretAccessKey: testSecret}, destination.Rules{})
		if err != nil || string(again) != want {
			t.Errorf("Check of its own result: got %s, %v, want %s", again, err, want)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	good := map[string]string{"bucket": `"bucket"`, "access_key_id": `"AKIA"`}
	for _, c := range []struct{ field, value, words string }{
		{"bucket", `""`, "config.bucket is required"},
		{"bucket", `"arn:aws:s3:::bucket"`, "not an ARN"},
		{"bucket", `"ab"`, "3 to 63"},
		{"bucket", `"a/b"`, "3 to 63"},
		{"bucket", `7`, "must be a string"},
		{"access_key_id", `""`, "config.access_key_id is required"},
		{"access_key_id", `"a b"`, "id of an access key"},
		{"access_key_id", `"` + strings.Repeat("A", 129) + `"`, "id of an access key"},
		{"access_key_id", `"ASIAIOSFODNN7EXAMPLE"`, "one of a session"},
		{"access_key_id", `" ASIAIOSFODNN7EXAMPLE"`, "AKIA"},
		{"region", `"evil.example.com/"`, "config.region"},
		{"region", `"EU"`, "config.region"},
		{"prefix", `"a//b"`, "config.prefix"},
		{"prefix", `"a/../b"`, "config.prefix"},
		{"prefix", `"a\u0000"`, "config.prefix"},
		{"prefix", `"` + strings.Repeat("p", 513) + `"`, "config.prefix"},
		{"endpoint", `"http://s3.test"`, "https://"},
		{"endpoint", `"HTTP://s3.test"`, "https://"},
		{"endpoint", `"ftp://s3.test"`, "config.endpoint"},
		{"endpoint", `"https://user:password@s3.test"`, "config.endpoint"},
		{"endpoint", `"https://s3.test?x=y"`, "config.endpoint"},
		{"endpoint", `"https://"`, "config.endpoint"},
		{"object_bytes", `65535`, "config.object_bytes must be 65536 to 67108864"},
		{"object_bytes", `67108865`, "config.object_bytes"},
		{"object_events", `0`, "config.object_events"},
		{"object_events", `1000001`, "config.object_events"},
		{"object_seconds", `0`, "config.object_seconds"},
		{"object_seconds", `3601`, "config.object_seconds"},
		{"secret_access_key", `"x"`, "no field"},
	} {
		fields := []string{fmt.Sprintf("%q:%s", c.field, c.value)}
		for name, value := range good {
			if name != c.field {
				fields = append(fields, fmt.Sprintf("%q:%s", name, value))
			}
		}
		_, err := Kind{}.Check(json.RawMessage("{"+strings.Join(fields, ",")+"}"), destination.Secrets{SecretAccessKey: testSecret}, destination.Rules{})
		wantInvalid(t, c.field+" "+c.value, err, c.words)
	}
}

func TestCheckRefusesSecrets(t *testing.T) {
	for words, secrets := range map[string]destination.Secrets{
		"is required": {},
		"visible":     {SecretAccessKey: "with space"},
		"at most 256": {SecretAccessKey: strings.Repeat("s", 257)},
		"no field":    {SecretAccessKey: testSecret, "token": "t"},
	} {
		_, err := Kind{}.Check(json.RawMessage(`{"bucket":"bucket","access_key_id":"AKIA"}`), secrets, destination.Rules{})
		wantInvalid(t, words, err, words)
	}
}

func wantInvalid(t *testing.T, what string, err error, words string) {
	t.Helper()
	e, ok := err.(*sluice.Error)
	if !ok || e.Code != sluice.Invalid {
		t.Errorf("Check with %s: got %v, want an error with code %s", what, err, sluice.Invalid)
		return
	}
	if text := e.Message + " " + e.Hint; !strings.Contains(text, words) {
		t.Errorf("Check with %s: got %q, want %q in it", what, text, words)
	}
}

func TestHosts(t *testing.T) {
	for config, want := range map[string]string{
		`{"bucket":"bucket","access_key_id":"k"}`:                                                               "bucket.s3.us-east-1.amazonaws.com",
		`{"bucket":"bucket","access_key_id":"k","region":"eu-central-1"}`:                                       "bucket.s3.eu-central-1.amazonaws.com",
		`{"bucket":"with.dots","access_key_id":"k","region":"eu-central-1"}`:                                    "s3.eu-central-1.amazonaws.com",
		`{"bucket":"bucket","access_key_id":"k","region":"cn-north-1"}`:                                         "bucket.s3.cn-north-1.amazonaws.com.cn",
		`{"bucket":"bucket","access_key_id":"k","endpoint":"https://s3.test:9000/path"}`:                        "s3.test",
		`{"bucket":"bucket","access_key_id":"k","endpoint":"https://s3.test:9000","force_path_style":false}`:    "bucket.s3.test",
		`{"bucket":"bucket","access_key_id":"k","endpoint":"https://169.254.169.254","force_path_style":false}`: "169.254.169.254",
	} {
		if got := (Kind{}).Hosts(json.RawMessage(config)); !slices.Equal(got, []string{want}) {
			t.Errorf("Hosts of %s: got %q, want %q", config, got, want)
		}
	}
}
