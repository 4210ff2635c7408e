package cloudlogging

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/cloudlogging/cloudloggingtest"
	"github.com/sluicelog/sluice/destination/destinationtest"
)

// published starts the program that decodes with Google's own types and returns
// its address.
func published(t *testing.T) string {
	t.Helper()
	const program = "../../bin/testservers/cloudlogging"
	if _, err := os.Stat(program); err != nil {
		t.Fatal("bin/testservers/cloudlogging is missing: run scripts/prepare, which builds it")
	}
	cmd := exec.Command(program)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: got %v, want nil", program, err)
	}
	t.Cleanup(func() {
		in.Close() // that ends it
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("read address of %s: got %v, want nil", program, err)
	}
	return strings.TrimSpace(line)
}

// decoded returns what Google's types make of a body.
func decoded(t *testing.T, url, body string) (answer []byte, ok bool) {
	t.Helper()
	resp, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatalf("decode: got %v, want nil", err)
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("decode: got %v, want nil", err)
	}
	return answer, resp.StatusCode == http.StatusOK
}

// tee serves g and keeps the unpacked bodies of write requests and the answers.
type tee struct {
	mu                sync.Mutex
	requests, answers []string
}

func (x *tee) serve(t *testing.T, change func(*cloudloggingtest.Config)) destination.Destination {
	t.Helper()
	config := testAccount().Config()
	if change != nil {
		change(&config)
	}
	g := cloudloggingtest.New(config)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == cloudloggingtest.TokenPath {
			g.ServeHTTP(w, r)
			return
		}
		packed, _ := io.ReadAll(r.Body) // what is wrong with it shows below
		r.Body = io.NopCloser(bytes.NewReader(packed))
		plain := ""
		if zip, err := gzip.NewReader(bytes.NewReader(packed)); err == nil {
			b, _ := io.ReadAll(zip)
			plain = string(b)
		}
		answer := httptest.NewRecorder()
		g.ServeHTTP(answer, r)
		x.mu.Lock()
		x.requests, x.answers = append(x.requests, plain), append(x.answers, answer.Body.String())
		x.mu.Unlock()
		w.WriteHeader(answer.Code)
		w.Write(answer.Body.Bytes())
	}))
	t.Cleanup(s.Close)
	dst := openAt(t, s.URL, testSecrets(), loopbackEnv())
	t.Cleanup(func() { dst.Close() })
	return dst
}

// message is what is looked at of a request as Google's types write it.
type message struct {
	LogName        string
	Resource       struct{ Type string }
	PartialSuccess bool
	DryRun         bool
	Entries        []struct {
		InsertID    string `json:"insertId"`
		Timestamp   time.Time
		Severity    string
		Labels      map[string]string
		JSONPayload any `json:"jsonPayload"`
	}
}

// TestRequestsAreWhatGooglePublishes decodes requests with Google's definitions.
func TestRequestsAreWhatGooglePublishes(t *testing.T) {
	url := published(t) + "/request"
	b := destinationtest.Batch(20)
	b.Events[1].Payload = []byte(`{"id":"e-1","n":[9007199254740993,-1.5e300,0.1,12345678901234567890],"deep":{"a":[[],{},null,true,"\u00e9\n\ud83d\ude00"]}}`)
	b.Events[2].ID, b.Events[2].Type, b.Events[2].Namespace = []byte(`a/b`), "t\"\\<\x01>", ""
	b.Events[3].Time = time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC)
	b.Events[4].Payload = []byte(`{}`)
	x := &tee{}
	dst := x.serve(t, nil)
	if res := dst.Send(t.Context(), b); res.Err != nil {
		t.Fatalf("Send: got %v, want delivered", res.Err)
	}
	if !dst.Check(t.Context(), func(destination.Stage) {}) {
		t.Fatal("Check: got failed, want passed")
	}
	var sent, dry message
	for i, m := range []*message{&sent, &dry} {
		answer, ok := decoded(t, url, x.requests[i])
		if !ok {
			t.Fatalf("request %d: Google's types say %s\n%s", i, answer, x.requests[i])
		}
		if err := json.Unmarshal(answer, m); err != nil {
			t.Fatal(err)
		}
		if m.LogName != logName || m.Resource.Type != "global" || !m.PartialSuccess || m.DryRun != (i == 1) {
			t.Errorf("request %d: got %+v, want %s, global, partialSuccess and dryRun for the check alone", i, m, logName)
		}
	}
	if len(sent.Entries) != len(b.Events) || len(dry.Entries) != 1 {
		t.Fatalf("entries: got %d and %d, want %d and 1", len(sent.Entries), len(dry.Entries), len(b.Events))
	}
	for i, got := range sent.Entries {
		want := b.Events[i]
		if got.InsertID != string(appendInsertID(nil, want.ID)) || !got.Timestamp.Equal(want.Time) || got.Severity != "INFO" ||
			got.Labels["type"] != want.Type || got.Labels["namespace"] != want.Namespace {
			t.Errorf("entry %d: got %+v, want that of %+v", i, got, want)
		}
		var payload any
		if err := json.Unmarshal(appendPayload(nil, want.Payload), &payload); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.JSONPayload, payload) {
			t.Errorf("payload %d: got %v, want %v", i, got.JSONPayload, payload)
		}
	}
}

// TestErrorsAreWhatGooglePublishes decodes the details of the errors that the
// test double answers with.
func TestErrorsAreWhatGooglePublishes(t *testing.T) {
	url := published(t) + "/details"
	invalid, quota, denied := cloudloggingtest.Invalid("no"), cloudloggingtest.Quota(1500*time.Millisecond), cloudloggingtest.PermissionDenied("SERVICE_DISABLED")
	for name, f := range map[string]cloudloggingtest.Fault{
		"quota":   {Error: &quota},
		"denied":  {Error: &denied},
		"partial": {Entries: map[int]cloudloggingtest.Error{0: invalid, 2: quota}},
	} {
		x := &tee{}
		dst := x.serve(t, func(c *cloudloggingtest.Config) {
			c.Script = func(int, cloudloggingtest.Request) cloudloggingtest.Fault { return f }
		})
		if res := dst.Send(t.Context(), destinationtest.Batch(3)); res.Err == nil {
			t.Fatalf("%s: got delivered, want an error", name)
		}
		var told struct {
			Error struct{ Details json.RawMessage }
		}
		if err := json.Unmarshal([]byte(x.answers[0]), &told); err != nil || told.Error.Details == nil {
			t.Fatalf("%s: got %s, want an error with details", name, x.answers[0])
		}
		if answer, ok := decoded(t, url, string(told.Error.Details)); !ok {
			t.Errorf("%s: Google's types say %s\n%s", name, answer, told.Error.Details)
		}
	}
}

// TestPublishedTypesAreStrict makes sure that what passes above could fail.
func TestPublishedTypesAreStrict(t *testing.T) {
	url := published(t)
	for _, c := range []struct{ path, body string }{
		{"/request", `{"entries":[{"insertID":"1"}]}`},
		{"/request", `{"partialSuccess":"yes"}`},
		{"/request", `{"entries":[{"timestamp":"yesterday"}]}`},
		{"/request", `{"entries":[{"severity":"LOUD"}]}`},
		{"/request", `{"entries":[{"labels":{"a":1}}]}`},
		{"/request", `{"entries":[{"jsonPayload":[]}]}`},
		{"/request", `{"entries":[{"jsonPayload":{"a":1e400}}]}`},
		{"/details", `[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"soon"}]`},
		{"/details", `[{"@type":"type.googleapis.com/google.rpc.Unknown"}]`},
	} {
		if answer, ok := decoded(t, url+c.path, c.body); ok {
			t.Errorf("%s: got %s, want it refused", c.body, answer)
		}
	}
}
