package webhook

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/destinationtest"
)

const (
	testToken  = "tok-0123456789abcdef"
	testKey    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw0123456789ab"
	testBearer = "s3cret-bearer-value"
)

func testSecrets() destination.Secrets {
	return destination.Secrets{VerificationToken: testToken, SigningSecret: testKey}
}

// openAt returns a destination for url with the given other fields.
func openAt(t testing.TB, url string, secrets destination.Secrets, env destination.Env, fields map[string]any) destination.Destination {
	t.Helper()
	fields["url"] = url
	config, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	canonical, err := Kind{}.Check(config, secrets, destination.Rules{})
	if err != nil {
		t.Fatalf("Check: got %v, want nil", err)
	}
	dst, err := Kind{}.Open(canonical, secrets, env)
	if err != nil {
		t.Fatalf("Open: got %v, want nil", err)
	}
	return dst
}

func TestConformance(t *testing.T) {
	for _, c := range []struct {
		name   string
		fields map[string]any
		h      destinationtest.Harness
		read   func(t *testing.T, body []byte) [][]byte
	}{
		{"event", map[string]any{}, destinationtest.Harness{PerEvent: true}, readEvent},
		{"strict order", map[string]any{"concurrency": 1}, destinationtest.Harness{PerEvent: true, InOrder: true}, readEvent},
		{"array", map[string]any{"format": "array"}, destinationtest.Harness{}, readArray},
		{"ndjson", map[string]any{"format": "ndjson"}, destinationtest.Harness{}, readLines},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.h.Secrets = []string{testToken, testKey, testKey[len(keyPrefix):], testBearer, "quiet-query-value"}
			c.h.Open = func(t *testing.T, url string, env destination.Env) destination.Destination {
				fields := map[string]any{"headers": []Header{{Name: "Authorization", Value: "Bearer " + testBearer, Active: true}}}
				for name, value := range c.fields {
					fields[name] = value
				}
				return openAt(t, url+"/logs?key=quiet-query-value", testSecrets(), env, fields)
			}
			c.h.Read = func(t *testing.T, r destinationtest.Request) ([][]byte, string) {
				return c.read(t, r.Body), r.Header.Get("webhook-id")
			}
			destinationtest.Test(t, c.h)
		})
	}
}

func readEvent(_ *testing.T, body []byte) [][]byte { return [][]byte{body} }

func readArray(t *testing.T, body []byte) [][]byte {
	var list []json.RawMessage
	if err := json.Unmarshal(body, &list); err != nil {
		t.Errorf("body: got %q, want a JSON array", body)
	}
	out := make([][]byte, len(list))
	for i := range list {
		out[i] = list[i]
	}
	return out
}

func readLines(t *testing.T, body []byte) [][]byte {
	if !bytes.HasSuffix(body, []byte("\n")) {
		t.Errorf("body: got %q, want it to end with a line end", body)
	}
	return bytes.Split(bytes.TrimSuffix(body, []byte("\n")), []byte("\n"))
}
