package cloudlogging

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/cloudlogging/cloudloggingtest"
	"github.com/sluicelog/sluice/destination/destinationtest"
)

// status returns an error with the given code.
func status(http, code int, name, message string, details ...any) cloudloggingtest.Error {
	return cloudloggingtest.Error{HTTP: http, Code: code, Status: name, Message: message, Details: details}
}

func TestRefusals(t *testing.T) {
	const email = "sluice@" + testProject + ".iam.gserviceaccount.com"
	for _, c := range []struct {
		name  string
		err   cloudloggingtest.Error
		class destination.Class
		retry time.Duration
		words []string
	}{
		{"quota with a delay", cloudloggingtest.Quota(12500 * time.Millisecond), destination.Unavailable, 12500 * time.Millisecond, []string{"429 RESOURCE_EXHAUSTED", "quota"}},
		{"quota with a long delay", cloudloggingtest.Quota(48 * time.Hour), destination.Unavailable, destination.MaxRetryAfter, nil},
		{"quota", cloudloggingtest.Quota(0), destination.Unavailable, 0, nil},
		{"quota as 403", cloudloggingtest.PermissionDenied("RATE_LIMIT_EXCEEDED"), destination.Unavailable, 0, nil},
		{"unavailable", cloudloggingtest.Unavailable(), destination.Unavailable, 0, []string{"503 UNAVAILABLE", "currently unavailable"}},
		{"internal", status(500, 13, "INTERNAL", "Internal error encountered."), destination.Unavailable, 0, []string{"500 INTERNAL"}},
		{"deadline", status(504, 4, "DEADLINE_EXCEEDED", ""), destination.Unavailable, 0, []string{"504 DEADLINE_EXCEEDED"}},
		{"aborted", status(409, 10, "ABORTED", "try again"), destination.Unavailable, 0, []string{"409 ABORTED"}},
		{"cancelled", status(499, 1, "CANCELLED", ""), destination.Unavailable, 0, nil},
		{"unknown", status(500, 2, "UNKNOWN", ""), destination.Unavailable, 0, nil},
		{"data loss", status(500, 15, "DATA_LOSS", ""), destination.Unavailable, 0, nil},
		{"token", cloudloggingtest.Unauthenticated(), destination.Misconfigured, 0, []string{"401 UNAUTHENTICATED", "access token"}},
		{"role", cloudloggingtest.PermissionDenied("IAM_PERMISSION_DENIED"), destination.Misconfigured, 0, []string{"403 PERMISSION_DENIED", email, "Logs Writer", testProject}},
		{"API", cloudloggingtest.PermissionDenied("SERVICE_DISABLED"), destination.Misconfigured, 0, []string{"Cloud Logging API is not enabled"}},
		{"billing", cloudloggingtest.PermissionDenied("BILLING_DISABLED"), destination.Misconfigured, 0, []string{"billing"}},
		{"suspended", cloudloggingtest.PermissionDenied("CONSUMER_SUSPENDED"), destination.Misconfigured, 0, []string{"project_id"}},
		{"policy", cloudloggingtest.PermissionDenied("SECURITY_POLICY_VIOLATED"), destination.Misconfigured, 0, []string{"policy"}},
		{"account", status(401, 16, "UNAUTHENTICATED", "", map[string]any{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "ACCOUNT_STATE_INVALID"}), destination.Misconfigured, 0, []string{"disabled"}},
		{"forbidden", cloudloggingtest.PermissionDenied(""), destination.Misconfigured, 0, []string{"Logs Writer", "enabled"}},
		{"no project", cloudloggingtest.NotFound(testProject), destination.Misconfigured, 0, []string{"404 NOT_FOUND", "check project_id"}},
		{"precondition", status(400, 9, "FAILED_PRECONDITION", "no"), destination.Misconfigured, 0, nil},
		{"unimplemented", status(501, 12, "UNIMPLEMENTED", "no"), destination.Misconfigured, 0, nil},
		{"content", cloudloggingtest.Invalid("Invalid value at 'entries[0].json_payload'"), destination.RejectedBatch, 0, []string{"400 INVALID_ARGUMENT", "entries[0]"}},
		{"log name", cloudloggingtest.Invalid("Log name contains illegal character"), destination.Misconfigured, 0, []string{"log_id"}},
		{"out of range", status(400, 11, "OUT_OF_RANGE", "no"), destination.RejectedBatch, 0, nil},
		{"odd details", status(503, 14, "UNAVAILABLE", "no", 7, nil, "x", map[string]any{"@type": 7}, map[string]any{"@type": "google.rpc.RetryInfo", "retryDelay": "soon"}), destination.Unavailable, 0, nil},
		{"negative delay", status(503, 14, "UNAVAILABLE", "no", map[string]any{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "-3s"}), destination.Unavailable, 0, nil},
		{"a code of no one", status(503, 99, "WHATEVER", "no"), destination.Unavailable, 0, []string{"503"}},
	} {
		g, dst := start(t, func(cfg *cloudloggingtest.Config) {
			cfg.Script = func(int, cloudloggingtest.Request) cloudloggingtest.Fault {
				return cloudloggingtest.Fault{Error: &c.err}
			}
		})
		res := dst.Send(t.Context(), destinationtest.Batch(4))
		if res.Err == nil || res.Err.Class != c.class || res.Err.RetryAfter != c.retry || res.Err.Status != c.err.HTTP {
			t.Errorf("%s: got %+v, want %v, status %d, to wait %v", c.name, res.Err, c.class, c.err.HTTP, c.retry)
			continue
		}
		if res.Events != nil {
			t.Errorf("%s: got outcomes %v, want the same for all", c.name, res.Events)
		}
		for _, want := range c.words {
			if !strings.Contains(res.Err.Message, want) {
				t.Errorf("%s: got %q, want %q in it", c.name, res.Err.Message, want)
			}
		}
		if n := len(g.Requests()); n != 1 {
			t.Errorf("%s: got %d requests, want 1: destinations do not retry", c.name, n)
		}
	}
}

// A single entry that is refused without a word about entries is to blame.
func TestSingleEntryIsRejected(t *testing.T) {
	_, dst := start(t, func(c *cloudloggingtest.Config) {
		c.Script = func(int, cloudloggingtest.Request) cloudloggingtest.Fault {
			e := cloudloggingtest.Invalid("bad payload")
			return cloudloggingtest.Fault{Error: &e}
		}
	})
	b := destinationtest.Batch(1)
	res := dst.Send(t.Context(), b)
	if res.Err == nil || fmt.Sprint(res.Events) != "[2]" || !strings.Contains(res.Reasons[0], "bad payload") {
		t.Errorf("Send: got %v %v %v, want the event rejected with Google's words", res.Err, res.Events, res.Reasons)
	}
	// Beside one that is too large as well, and with two the caller splits.
	b.Events = append(b.Events, sized(t, "over", MaxEntry+1))
	if res := dst.Send(t.Context(), b); res.Err == nil || fmt.Sprint(res.Events) != "[2 2]" {
		t.Errorf("Send beside a large one: got %v %v, want both rejected", res.Err, res.Events)
	}
	b.Events = append(b.Events, destinationtest.Batch(1).Events...)
	if res := dst.Send(t.Context(), b); res.Err == nil || res.Events != nil {
		t.Errorf("Send of two and a large one: got %v %v, want the batch refused", res.Err, res.Events)
	}
}

func TestPartialSuccess(t *testing.T) {
	future := destinationtest.Batch(5)
	future.Events[3].Time = time.Now().Add(25 * time.Hour)
	old := destinationtest.Batch(2)
	old.Events[0].Time = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)
	invalid, denied, quota := cloudloggingtest.Invalid("no, it says"), cloudloggingtest.PermissionDenied(""), cloudloggingtest.Quota(9*time.Second)
	for _, c := range []struct {
		name     string
		batch    *destination.Batch
		refuse   map[int]cloudloggingtest.Error
		outcomes string
		class    destination.Class // 0: delivered
		written  string
	}{
		{"in the future", future, nil, "[1 1 1 2 1]", destination.RejectedBatch, "e-0 e-1 e-2 e-4"},
		{"older than retention", old, nil, "[]", 0, "e-0 e-1"},
		{"one of 500", destinationtest.Batch(500), map[int]cloudloggingtest.Error{250: invalid}, "", destination.RejectedBatch, ""},
		{"two", destinationtest.Batch(4), map[int]cloudloggingtest.Error{0: invalid, 3: invalid}, "[2 1 1 2]", destination.RejectedBatch, "e-1 e-2"},
		{"one passing", destinationtest.Batch(4), map[int]cloudloggingtest.Error{0: invalid, 3: quota}, "[2 1 1 0]", destination.Unavailable, "e-1 e-2"},
		{"one forbidden", destinationtest.Batch(4), map[int]cloudloggingtest.Error{0: quota, 1: denied, 3: invalid}, "[0 0 1 2]", destination.Misconfigured, "e-2"},
		{"all: none is named", destinationtest.Batch(3), map[int]cloudloggingtest.Error{0: invalid, 1: invalid, 2: invalid}, "[]", destination.RejectedBatch, ""},
	} {
		g, dst := start(t, func(cfg *cloudloggingtest.Config) {
			cfg.Script = func(int, cloudloggingtest.Request) cloudloggingtest.Fault {
				return cloudloggingtest.Fault{Entries: c.refuse}
			}
		})
		res := dst.Send(t.Context(), c.batch)
		if (res.Err == nil) != (c.class == 0) || res.Err != nil && res.Err.Class != c.class {
			t.Errorf("%s: got %v, want class %v", c.name, res.Err, c.class)
			continue
		}
		if c.outcomes != "" && fmt.Sprint(res.Events) != c.outcomes {
			t.Errorf("%s: got outcomes %v, want %s", c.name, res.Events, c.outcomes)
		}
		if got := ids(g.Entries()); c.outcomes != "" && got != c.written {
			t.Errorf("%s: got %s written, want %s", c.name, got, c.written)
		}
		for i, o := range res.Events {
			if reason := res.Reasons[i]; (o == destination.Rejected) != strings.Contains(reason, "INVALID_ARGUMENT") {
				t.Errorf("%s: got the reason %q for event %d with outcome %d", c.name, reason, i, o)
			}
		}
		if len(c.batch.Events) == 500 && (len(g.Entries()) != 499 || res.Events[250] != destination.Rejected || len(res.Reasons) != 1) {
			t.Errorf("%s: got %d written and %v rejected, want 499 and event 250", c.name, len(g.Entries()), res.Reasons)
		}
	}
}

// TestAnswersThatCannotBeTrusted has errors of entries that say nothing for sure:
// no event may count as delivered then.
func TestAnswersThatCannotBeTrusted(t *testing.T) {
	const shape = `{"error":{"code":400,"message":"no","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.logging.v2.WriteLogEntriesPartialErrors","logEntryErrors":%s}]}}`
	for name, body := range map[string]string{
		"entry that is not there": fmt.Sprintf(shape, `{"4":{"code":3}}`),
		"negative entry":          fmt.Sprintf(shape, `{"-1":{"code":3}}`),
		"no number":               fmt.Sprintf(shape, `{"first":{"code":3}}`),
		"one of them wrong":       fmt.Sprintf(shape, `{"0":{"code":3},"9":{"code":3}}`),
		"no entries":              fmt.Sprintf(shape, `{}`),
		"a list":                  fmt.Sprintf(shape, `[{"code":3}]`),
		"code 0":                  fmt.Sprintf(shape, `{"0":{"code":0}}`),
		"unknown code":            fmt.Sprintf(shape, `{"0":{"code":77}}`),
		"cut off":                 fmt.Sprintf(shape, `{"0":{"code":3}}`)[:150],
		"a page":                  "<!DOCTYPE html><html><title>Error 400 (Bad Request)!!1</title></html>",
		"an array":                `[{"error":{"status":"INVALID_ARGUMENT"}}]`,
		"empty":                   "",
	} {
		tokens := cloudloggingtest.New(testAccount().Config())
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == cloudloggingtest.TokenPath {
				tokens.ServeHTTP(w, r)
				return
			}
			io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, body)
		}))
		dst := openAt(t, s.URL, testSecrets(), loopbackEnv())
		res := dst.Send(t.Context(), destinationtest.Batch(4))
		if res.Err == nil || res.Err.Class != destination.RejectedBatch || res.Events != nil {
			t.Errorf("%s: got %v %v, want the batch refused", name, res.Err, res.Events)
		}
		dst.Close()
		s.Close()
	}
}

// scripted is a far side whose tokens are Google's and whose other answers are
// not.
func scripted(t *testing.T, write http.HandlerFunc) destination.Destination {
	t.Helper()
	tokens := cloudloggingtest.New(testAccount().Config())
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == cloudloggingtest.TokenPath {
			tokens.ServeHTTP(w, r)
			return
		}
		io.Copy(io.Discard, r.Body)
		write(w, r)
	}))
	t.Cleanup(s.Close)
	dst := openAt(t, s.URL, testSecrets(), loopbackEnv())
	t.Cleanup(func() { dst.Close() })
	return dst
}

// TestSuccessOfSomebodyElse has answers of 200 that entries.write does not give:
// what answers there is not Cloud Logging, or something went wrong.
func TestSuccessOfSomebodyElse(t *testing.T) {
	for body, want := range map[string]destination.Class{
		``:                     0,
		`{}`:                   0,
		" {\n} \n":             0,
		`{"a":1}`:              0,
		"<html>Sign in</html>": destination.Misconfigured,
		`ok`:                   destination.Misconfigured,
		`[]`:                   destination.Misconfigured,
		`null`:                 destination.Misconfigured,
		`{"error":{"code":503,"status":"UNAVAILABLE"}}`:       destination.Misconfigured,
		`{"x":"` + strings.Repeat("x", maxTokenAnswer) + `"}`: destination.Unavailable,
	} {
		dst := scripted(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) })
		name := body[:min(len(body), 60)]
		switch res := dst.Send(t.Context(), destinationtest.Batch(3)); {
		case want == 0 && res.Err != nil:
			t.Errorf("%s: got %v, want delivered", name, res.Err)
		case want != 0 && (res.Err == nil || res.Err.Class != want || res.Events != nil):
			t.Errorf("%s: got %v %v, want %v for all", name, res.Err, res.Events, want)
		}
		if passed := dst.Check(t.Context(), func(destination.Stage) {}); passed != (want == 0) {
			t.Errorf("%s: got a check that passed %t, want %t", name, passed, want == 0)
		}
	}
}

// TestEntriesNamedInTwoPlaces has an answer that spreads the refused entries over
// several details: none of them was written.
func TestEntriesNamedInTwoPlaces(t *testing.T) {
	const detail = `{"@type":"type.googleapis.com/google.logging.v2.WriteLogEntriesPartialErrors","logEntryErrors":{"%d":{"code":3,"message":"no"}}}`
	dst := scripted(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"error":{"code":400,"status":"INVALID_ARGUMENT","details":[`+detail+`,`+detail+`]}}`, 0, 2)
	})
	if res := dst.Send(t.Context(), destinationtest.Batch(4)); fmt.Sprint(res.Events) != "[2 1 2 1]" {
		t.Errorf("Send: got %v, want the first and the third rejected", res.Events)
	}
}

// TestEntriesThatAreNotNamed has a status that none of the named entries has: it is
// that of others, which are not written either.
func TestEntriesThatAreNotNamed(t *testing.T) {
	dst := scripted(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, `{"error":{"code":503,"status":"UNAVAILABLE","details":[{"@type":"type.googleapis.com/google.logging.v2.WriteLogEntriesPartialErrors","logEntryErrors":{"0":{"code":3,"message":"no"}}}]}}`)
	})
	if res := dst.Send(t.Context(), destinationtest.Batch(4)); res.Err == nil || res.Err.Class != destination.Unavailable || res.Events != nil {
		t.Errorf("Send: got %v %v, want all of the batch unavailable", res.Err, res.Events)
	}
}

func TestTooLargeForGoogle(t *testing.T) {
	_, dst := start(t, func(c *cloudloggingtest.Config) {
		c.Script = func(int, cloudloggingtest.Request) cloudloggingtest.Fault {
			e := cloudloggingtest.Invalid("Request payload size exceeds the limit: 10485760 bytes.")
			return cloudloggingtest.Fault{Error: &e}
		}
	})
	if res := dst.Send(t.Context(), destinationtest.Batch(4)); res.Err == nil || res.Err.Class != destination.RejectedBatch || !res.Err.TooLarge {
		t.Errorf("Send: got %+v, want rejected as too large", res.Err)
	}
}
