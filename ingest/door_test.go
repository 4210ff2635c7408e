package ingest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/rest/resttest"
)

// memoryDoor is a door onto a log in memory.
type memoryDoor struct {
	log    *eventlog.Log
	admit  func(events int) (time.Duration, bool) // nil admits all
	before func(ctx context.Context) error        // called before each append; an error is Accept's
	calls  atomic.Int64                           // of Accept
}

// The tokens that the door knows, and whose they are.
const (
	acmeToken     = "token-of-acme"
	instanceToken = "token-of-the-instance"
)

func (d *memoryDoor) Producer(_ context.Context, token string) (*control.Producer, error) {
	switch token {
	case acmeToken:
		return &Producer{Source: "tok_acme", Namespace: "acme"}, nil
	case instanceToken:
		return &Producer{Source: "tok_instance"}, nil
	}
	return nil, sluice.Errorf(sluice.Unauthorized, "the token is not known")
}

func (d *memoryDoor) Admit(_ *Producer, events int) (time.Duration, bool) {
	if d.admit == nil {
		return 0, true
	}
	return d.admit(events)
}

func (d *memoryDoor) Accept(ctx context.Context, _ *Producer, batches map[string]*eventlog.Batch) (map[string]eventlog.Appended, error) {
	d.calls.Add(1)
	if d.before != nil {
		if err := d.before(ctx); err != nil {
			return nil, err
		}
	}
	return d.log.Append(ctx, batches)
}

// newDoor returns a door whose log runs until the test ends.
func newDoor(tb testing.TB) *memoryDoor {
	tb.Helper()
	id := eventlog.LogID{1}
	log, err := eventlog.Open(context.Background(), eventlog.NewMemory(eventlog.MemoryOptions{Log: id}), eventlog.Options{ID: id})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- log.Run(ctx) }()
	tb.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			tb.Errorf("got %v from the log, want nil", err)
		}
		if err := log.Close(); err != nil {
			tb.Error(err)
		}
	})
	return &memoryDoor{log: log}
}

// stored returns the events of a partition in their order.
func (d *memoryDoor) stored(tb testing.TB, partition string) []string {
	tb.Helper()
	var events []string
	for seq, last := d.log.First(partition), d.log.Last(partition); seq != 0 && seq <= last; {
		b, err := d.log.Block(context.Background(), partition, seq)
		if err != nil {
			tb.Fatal(err)
		}
		for i := range b.Entries {
			payload, err := b.Payload(i)
			if err != nil {
				tb.Fatal(err)
			}
			events = append(events, string(payload))
		}
		seq = b.Last() + 1
	}
	return events
}

// count returns how many events the log holds.
func (d *memoryDoor) count() int {
	audit, _ := d.log.Totals("audit")
	git, _ := d.log.Totals("git")
	return int(audit + git)
}

// reply is a decoded answer.
type reply struct {
	status     int
	header     http.Header
	text       string
	Accepted   int               `json:"accepted"`
	Duplicates int               `json:"duplicates"`
	Last       map[string]uint64 `json:"last"`
	Error      struct {
		Code    string     `json:"code"`
		Message string     `json:"message"`
		Hint    string     `json:"hint"`
		Total   int        `json:"total"`
		Events  []badEvent `json:"events"`
	} `json:"error"`
}

// codes returns index and code of each bad event: "0 missing_type,2 bad_time".
func (r *reply) codes() string {
	var out []string
	for _, e := range r.Error.Events {
		out = append(out, string(rune('0'+e.Index))+" "+e.Code)
	}
	return strings.Join(out, ",")
}

func decodeReply(tb testing.TB, status int, header http.Header, body io.Reader) *reply {
	tb.Helper()
	text, err := io.ReadAll(body)
	if err != nil {
		tb.Fatal(err)
	}
	r := &reply{status: status, header: header, text: string(text)}
	if err := json.Unmarshal(text, r); err != nil {
		tb.Fatalf("got answer %q, want JSON: %v", text, err)
	}
	if got, want := header.Get("Content-Type"), "application/json"; got != want {
		tb.Errorf("got Content-Type %q, want %q", got, want)
	}
	if status >= 400 && (r.Error.Code == "" || r.Error.Message == "" || r.Error.Hint == "" && status != http.StatusUnauthorized) {
		tb.Errorf("got answer %q, want code, message and hint", text)
	}
	return r
}

// document reads the API's document once for all tests.
var document = sync.OnceValue(func() *resttest.Document {
	text, err := os.ReadFile("../rest/openapi.yaml")
	if err != nil {
		panic(err)
	}
	d, err := resttest.Read(text)
	if err != nil {
		panic("read openapi.yaml: " + err.Error())
	}
	return d
})

// serve lets the handler answer r without a connection, as the document says.
func serve(tb testing.TB, h http.Handler, r *http.Request) *reply {
	tb.Helper()
	w := httptest.NewRecorder()
	document().Watch(tb, h).ServeHTTP(w, r)
	return decodeReply(tb, w.Code, w.Header(), w.Body)
}

// request returns a post of acme's producer with more headers, in pairs.
func request(body io.Reader, header ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/api/v1/events", body)
	r.Header.Set("Authorization", "Bearer "+acmeToken)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

func post(tb testing.TB, h http.Handler, body string, header ...string) *reply {
	tb.Helper()
	return serve(tb, h, request(strings.NewReader(body), header...))
}

const (
	good    = `{"id":"1","event_type":"project_created","entity_path":"acme/web"}`
	goodGit = `{"id":"2","event_type":"git.push","entity_path":"acme/web"}`
	foreign = `{"id":"3","event_type":"project_created","entity_path":"globex/web"}`
	typeles = `{"id":"4","entity_path":"acme/web"}`
)
