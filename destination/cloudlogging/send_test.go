package cloudlogging

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/cloudlogging/cloudloggingtest"
	"github.com/sluicelog/sluice/destination/destinationtest"
)

const logName = "projects/" + testProject + "/logs/audit%2Facme"

func TestWhatIsWritten(t *testing.T) {
	when := time.Date(2026, 3, 1, 10, 0, 7, 123456789, time.FixedZone("", 7200))
	long := strings.Repeat("a", 255)
	for _, c := range []struct {
		name  string
		event destination.Event
		want  cloudloggingtest.Entry
	}{
		{"usual", destination.Event{ID: []byte("9f8e.7-D_6"), Type: "project_created", Time: when, Namespace: "acme/web", Payload: []byte(`{"id":"9f8e.7-D_6","n":1}`)},
			cloudloggingtest.Entry{InsertID: "9f8e.7-D_6", Labels: map[string]string{"namespace": "acme/web", "type": "project_created"}, Payload: []byte(`{"id":"9f8e.7-D_6","n":1}`)}},
		{"of the instance, without a type", destination.Event{ID: []byte("887"), Time: when, Payload: []byte(`{"id":887}`)},
			cloudloggingtest.Entry{InsertID: "887", Labels: map[string]string{"type": ""}, Payload: []byte(`{"id":887}`)}},
		{"large integers", destination.Event{ID: []byte("1"), Time: when, Type: "t", Payload: []byte(`{"id":1,"a":[9007199254740993],"b":"ö"}`)},
			cloudloggingtest.Entry{InsertID: "1", Labels: map[string]string{"type": "t"}, Payload: []byte(`{"id":1,"a":["9007199254740993"],"b":"ö"}`)}},
		{"words that need escapes", destination.Event{ID: []byte("1"), Time: when, Type: "a\"b\\c\nd<é>\u2028", Namespace: "größe/x\"y", Payload: []byte(`{}`)},
			cloudloggingtest.Entry{InsertID: "1", Labels: map[string]string{"type": "a\"b\\c\nd<é>\u2028", "namespace": "größe/x\"y"}, Payload: []byte(`{}`)}},
		{"longest id", destination.Event{ID: []byte(long), Time: when, Payload: []byte(`{}`)},
			cloudloggingtest.Entry{InsertID: long, Labels: map[string]string{"type": ""}, Payload: []byte(`{}`)}},
		{"too long id", destination.Event{ID: []byte(long + "b"), Time: when, Payload: []byte(`{}`)},
			cloudloggingtest.Entry{InsertID: hashed(long + "b"), Labels: map[string]string{"type": ""}, Payload: []byte(`{}`)}},
		{"id with other characters", destination.Event{ID: []byte(`a/b \u00e9"`), Time: when, Payload: []byte(`{}`)},
			cloudloggingtest.Entry{InsertID: hashed(`a/b \u00e9"`), Labels: map[string]string{"type": ""}, Payload: []byte(`{}`)}},
	} {
		g, dst := start(t, nil)
		if res := dst.Send(t.Context(), &destination.Batch{Events: []destination.Event{c.event}}); res.Err != nil {
			t.Errorf("%s: got %v, want delivered", c.name, res.Err)
			continue
		}
		c.want.LogName, c.want.Resource, c.want.Severity, c.want.Timestamp = logName, "global", "INFO", when.UTC()
		if got := g.Entries(); len(got) != 1 || fmt.Sprintf("%+v", got[0]) != fmt.Sprintf("%+v", c.want) {
			t.Errorf("%s: got %+v, want %+v alone", c.name, got, c.want)
		}
	}
}

func hashed(id string) string {
	sum := sha256.Sum256([]byte(id))
	return "sha256-" + hex.EncodeToString(sum[:])
}

func TestRequestsArePackedAndPartial(t *testing.T) {
	g, dst := start(t, nil)
	if res := dst.Send(t.Context(), destinationtest.Batch(1000)); res.Err != nil {
		t.Fatalf("Send: got %v, want delivered", res.Err)
	}
	q := g.Requests()
	if len(q) != 1 || !q[0].Packed || !q[0].Partial || q[0].DryRun || len(q[0].Entries) != 1000 {
		t.Errorf("requests: got %d, want one with gzip, partialSuccess and 1,000 entries, not dry", len(q))
	}
}

// sized returns an event whose entry has n bytes.
func sized(t *testing.T, id string, n int) destination.Event {
	t.Helper()
	e := destination.Event{ID: []byte(id), Type: "t", Time: time.Unix(1.7e9, 0), Payload: []byte(`{"a":""}`)}
	room := n - len(appendEntry(nil, &e))
	e.Payload = fmt.Appendf(nil, `{"a":"%s"}`, strings.Repeat("x", room))
	if got := len(appendEntry(nil, &e)); got != n {
		t.Fatalf("entry: got %d bytes, want %d", got, n)
	}
	return e
}

func ids(entries []cloudloggingtest.Entry) string {
	out := make([]string, len(entries))
	for i, e := range entries {
		out[i] = e.InsertID
	}
	return strings.Join(out, " ")
}

func TestLargestEntry(t *testing.T) {
	g, dst := start(t, nil)
	b := &destination.Batch{Events: []destination.Event{
		sized(t, "small", 300), sized(t, "over", MaxEntry+1), sized(t, "just", MaxEntry), sized(t, "much", 2*MaxEntry), sized(t, "last", 300),
	}}
	res := dst.Send(t.Context(), b)
	if res.Err == nil || res.Err.Class != destination.RejectedBatch || !res.Err.TooLarge {
		t.Fatalf("Send: got %v, want rejected as too large", res.Err)
	}
	if got, want := fmt.Sprint(res.Events), "[1 2 1 2 1]"; got != want {
		t.Errorf("outcomes: got %s, want %s", got, want)
	}
	for _, i := range []int{1, 3} {
		if got, want := res.Reasons[i], "256 KiB"; !strings.Contains(got, want) {
			t.Errorf("reason of event %d: got %q, want %q in it", i, got, want)
		}
	}
	if got, want := ids(g.Entries()), "small just last"; got != want {
		t.Errorf("written: got %s, want %s", got, want)
	}
	before := len(g.Requests())
	b.Events = b.Events[1:2]
	if res := dst.Send(t.Context(), b); res.Err == nil || fmt.Sprint(res.Events) != "[2]" {
		t.Errorf("Send of it alone: got %v %v, want it rejected", res.Events, res.Err)
	}
	if after := len(g.Requests()); after != before {
		t.Errorf("requests for it alone: got %d, want none", after-before)
	}
}

func TestLargestRequest(t *testing.T) {
	g, dst := start(t, nil)
	b := &destination.Batch{}
	var want []string
	for i := range 90 { // 22.5 MiB: more than the limits let come, and still sent
		id := fmt.Sprintf("e-%d", i)
		want = append(want, id)
		b.Events = append(b.Events, sized(t, id, MaxEntry))
	}
	if res := dst.Send(t.Context(), b); res.Err != nil {
		t.Fatalf("Send: got %v, want delivered", res.Err)
	}
	if got := ids(g.Entries()); got != strings.Join(want, " ") {
		t.Errorf("written: got %s, want all in order", got)
	}
	for i, q := range g.Requests() {
		if q.Bytes > MaxRequest {
			t.Errorf("request %d: got %d bytes, want at most %d", i, q.Bytes, MaxRequest)
		}
	}
	if got := len(g.Requests()); got != 3 {
		t.Errorf("requests: got %d, want 3", got)
	}
}

// A second request that fails leaves what the first delivered.
func TestLaterRequestFails(t *testing.T) {
	quota, invalid := cloudloggingtest.Quota(0), cloudloggingtest.Invalid("no")
	for _, refusal := range []*cloudloggingtest.Error{&quota, &invalid} {
		_, dst := start(t, func(c *cloudloggingtest.Config) {
			c.Script = func(n int, _ cloudloggingtest.Request) cloudloggingtest.Fault {
				if n == 0 {
					return cloudloggingtest.Fault{}
				}
				return cloudloggingtest.Fault{Error: refusal}
			}
		})
		b := &destination.Batch{}
		for i := range 50 {
			b.Events = append(b.Events, sized(t, fmt.Sprint("e-", i), MaxEntry))
		}
		res := dst.Send(t.Context(), b)
		if res.Err == nil || res.Events == nil {
			t.Fatalf("Send with %s: got %v and %v, want an error and outcomes", refusal.Status, res.Err, res.Events)
		}
		var count [3]int
		for i, o := range res.Events {
			count[o]++
			if o == destination.Delivered && i > 0 && res.Events[i-1] != destination.Delivered {
				t.Errorf("outcomes with %s: got a delivered event behind one that is not", refusal.Status)
			}
		}
		if count[destination.Delivered] != 39 || count[destination.Unsent] != 11 {
			t.Errorf("outcomes with %s: got %v, want 39 delivered and 11 unsent", refusal.Status, count)
		}
	}
}

// The far side keeps repeated entries, and a query shows them once.
func TestRepeatedEntriesAreTheSame(t *testing.T) {
	g, dst := start(t, func(c *cloudloggingtest.Config) {
		c.Script = func(n int, _ cloudloggingtest.Request) cloudloggingtest.Fault {
			return cloudloggingtest.Fault{Lost: n == 0}
		}
	})
	b := destinationtest.Batch(3)
	if res := dst.Send(t.Context(), b); res.Err == nil || res.Err.Class != destination.Unavailable || res.Events != nil {
		t.Fatalf("Send with a lost answer: got %v, want unavailable", res.Err)
	}
	if res := dst.Send(t.Context(), b); res.Err != nil {
		t.Fatalf("Send: got %v, want delivered", res.Err)
	}
	if got, want := len(g.Entries()), 6; got != want {
		t.Errorf("stored: got %d, want %d", got, want)
	}
	if got, want := ids(g.Query()), "e-0 e-1 e-2"; got != want {
		t.Errorf("query: got %s, want %s", got, want)
	}
}

func TestDestinationIsNotPrinted(t *testing.T) {
	_, dst := start(t, nil)
	if res := dst.Send(t.Context(), destinationtest.Batch(1)); res.Err != nil {
		t.Fatalf("Send: got %v, want delivered", res.Err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if got, want := fmt.Sprintf(verb, dst), "cloudlogging "+logName; got != want {
			t.Errorf("%s: got %q, want %q", verb, got, want)
		}
		// Inside of another value as well.
		text := fmt.Sprintf(verb, struct{ D *Writer }{dst.(*Writer)})
		checkSecrets(t, text)
		if bytes.Contains([]byte(text), fmt.Append(nil, dst.(*Writer).tokens.account.key[:40])) {
			t.Errorf("%s: got the bytes of the key in it", verb)
		}
	}
}
