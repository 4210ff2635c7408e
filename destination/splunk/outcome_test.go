package splunk

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/destinationtest"
	"github.com/sluicelog/sluice/destination/splunk/splunktest"
)

// TestCodes goes through the collector's codes.
func TestCodes(t *testing.T) {
	const unavailable, misconfigured, rejected = destination.Unavailable, destination.Misconfigured, destination.RejectedBatch
	for _, c := range []struct {
		status   int
		body     string
		want     destination.Class // 0 for delivered
		words    string
		requests int
	}{
		{200, `{"text":"Success","code":0}`, 0, "", 1},
		{201, `{"text":"Success","code":0}`, 0, "", 1},
		{403, `{"text":"Token disabled","code":1}`, misconfigured, "enable it in Splunk", 1},
		{401, `{"text":"Token is required","code":2}`, misconfigured, "Authorization", 1},
		{401, `{"text":"Invalid authorization","code":3}`, misconfigured, "Authorization", 1},
		{403, `{"text":"Invalid token","code":4}`, misconfigured, "copy the token's value", 1},
		{400, `{"text":"No data","code":5}`, misconfigured, "take the body away", 1},
		{400, `{"text":"Invalid data format","code":6}`, rejected, "Invalid data format", 1},
		{400, `{"text":"Incorrect index","code":7,"invalid-event-number":1}`, misconfigured, "allowed indexes", 1},
		{500, `{"text":"Internal server error","code":8}`, unavailable, "code 8", 1},
		{503, `{"text":"Server is busy","code":9}`, unavailable, "busy", 1},
		{400, `{"text":"Data channel is missing","code":10}`, misconfigured, "X-Splunk-Request-Channel", 2},
		{400, `{"text":"Invalid data channel","code":11}`, misconfigured, "channel", 2},
		{400, `{"text":"Event field is required","code":12}`, rejected, "code 12", 1},
		{400, `{"text":"Event field cannot be blank","code":13}`, rejected, "code 13", 1},
		{400, `{"text":"ACK is disabled","code":14}`, misconfigured, "indexer_ack", 2},
		{400, `{"text":"Error in handling indexed fields","code":15}`, rejected, "code 15", 1},
		{400, `{"text":"Query string authorization is not enabled","code":16}`, misconfigured, "query", 1},
		{503, `{"text":"HEC is unhealthy, queues are full","code":18}`, unavailable, "queues are full", 1},
		{503, `{"text":"HEC is unhealthy, ack service unavailable","code":19}`, unavailable, "acknowledgement", 1},
		{503, `{"text":"HEC is unhealthy","code":20}`, unavailable, "queues are full", 1},
		{503, `{"text":"Server is shutting down","code":23}`, unavailable, "shutting down", 1},
		{429, `{"text":"Queue is at capacity","code":26}`, unavailable, "at capacity", 1},
		{429, `{"text":"ACK channel is at capacity","code":27}`, unavailable, "at capacity", 1},
		{400, `{"text":"Data channel is missing","code":28}`, misconfigured, "channel", 2},
		// The code comes first, whatever HTTP says.
		{200, `{"text":"Invalid token","code":4}`, misconfigured, "code 4", 1},
		{200, `{"text":"Server is busy","code":9}`, unavailable, "code 9", 1},
		{503, `{"text":"Success","code":0}`, unavailable, "503", 1},
		{400, `{"text":"Server is busy","code":9}`, unavailable, "code 9", 1},
		// Without a code that is known, HTTP decides, and 200 says nothing.
		{200, `{"text":"Something new","code":99}`, unavailable, "code 99", 1},
		{400, `{"text":"Something new","code":99}`, rejected, "Something new", 1},
		{404, `{"text":"The requested URL was not found on this server.","code":404}`, misconfigured, "check the address", 1},
		{413, `{"text":"Content-Length of 900000 too large","code":413}`, rejected, "too large", 1},
		{500, `"Internal Server Error"`, unavailable, "Internal Server Error", 1},
		{200, ``, misconfigured, "not as an HTTP Event Collector does", 1},
		{200, `<html>Sign in</html>`, misconfigured, "Sign in", 1},
		{204, ``, misconfigured, "not as an HTTP Event Collector does", 1},
		// Other protocols have such a field, too: what they mean by it is not ours.
		{500, `{"code":13,"message":"internal"}`, unavailable, "500", 1},
		{503, `{"code":14,"message":"unavailable"}`, unavailable, "503", 1},
		{503, `{"code":6,"text":"no","invalid-event-number":1}`, unavailable, "503", 1},
		{429, `{"code":15}`, unavailable, "429", 1},
		{501, `{"code":12,"message":"unimplemented"}`, misconfigured, "501", 1},
		{403, `{"code":6,"invalid-event-number":0}`, misconfigured, "403", 1},
		{504, `{"code":4,"message":"deadline exceeded"}`, unavailable, "504", 1},
		{200, `{"text":"Success","code":"0"}`, misconfigured, "not as an HTTP Event Collector does", 1},
	} {
		var n atomic.Int64
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			n.Add(1)
			_, _ = io.Copy(io.Discard, q.Body)
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		}))
		dst := openAt(t, s.URL, fixedEnv(), map[string]any{})
		res := dst.Send(t.Context(), destinationtest.Batch(3))
		what := fmt.Sprintf("%d %s", c.status, c.body)
		wantFailure(t, what, res, c.want, c.words)
		if got := int(n.Load()); got != c.requests {
			t.Errorf("%s: got %d requests, want %d", what, got, c.requests)
		}
		if res.Err != nil {
			want := map[bool]time.Duration{true: 7 * time.Second}[c.want == unavailable && c.status >= 400]
			if got := res.Err.RetryAfter; got != want {
				t.Errorf("%s: got RetryAfter %v, want %v", what, got, want)
			}
			if res.Events != nil {
				t.Errorf("%s: got outcomes %v, want none", what, res.Events)
			}
		}
		dst.Close()
		s.Close()
	}
}

func wantFailure(t *testing.T, what string, res destination.Result, class destination.Class, words string) {
	t.Helper()
	if class == 0 {
		if res.Err != nil {
			t.Errorf("%s: got %v, want delivered", what, res.Err)
		}
		return
	}
	if res.Err == nil || res.Err.Class != class || !strings.Contains(res.Err.Message, words) {
		t.Errorf("%s: got %v, want %v with %q in it", what, res.Err, class, words)
		return
	}
	if len(res.Err.Message) > 2*destination.MaxWords || strings.Contains(res.Err.Message, testToken) {
		t.Errorf("%s: got message %q, want a short one without the token", what, res.Err.Message)
	}
}

// TestLongWordsAreCut has a collector that repeats the token at length.
func TestLongWordsAreCut(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.WriteHeader(400)
		fmt.Fprintf(w, `{"text":%q,"code":14}`, strings.Repeat(q.Header.Get("Authorization")+" ", 500))
	}))
	defer s.Close()
	for _, ack := range []Ack{AckAuto, AckRequire, AckOff} {
		dst := openAt(t, s.URL, fixedEnv(), map[string]any{"indexer_ack": ack})
		wantFailure(t, string(ack), dst.Send(t.Context(), destinationtest.Batch(1)), destination.Misconfigured, "***")
		dst.Check(t.Context(), func(s destination.Stage) {
			if strings.Contains(s.Message, testToken) || len(s.Message) > 2*destination.MaxWords {
				t.Errorf("stage %s: got %q, want a short message without the token", s.Name, s.Message)
			}
		})
		dst.Close()
	}
}

// TestNothingSecretIsPrinted prints a collector that has the token and cookies,
// alone and inside of another value, and has a receiver that repeats both.
func TestNothingSecretIsPrinted(t *testing.T) {
	const session = "session-c0ffee-c0ffee"
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "node", Value: session})
		w.WriteHeader(500)
		_ = q.Header.Write(w)
	}))
	defer s.Close()
	c := openAt(t, s.URL, fixedEnv(), map[string]any{})
	defer c.Close()
	for range 2 {
		res := c.Send(t.Context(), destinationtest.Batch(1))
		wantFailure(t, "echo", res, destination.Unavailable, "***")
		if res.Err != nil && strings.Contains(res.Err.Message, session) {
			t.Errorf("message: got %q, want no cookie in it", res.Err.Message)
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		for _, text := range []string{fmt.Sprintf(verb, c), fmt.Sprintf(verb, struct{ D *Collector }{c}), fmt.Sprintf(verb, []destination.Destination{c})} {
			if strings.Contains(text, testToken) || strings.Contains(text, session) || strings.Contains(text, hex.EncodeToString([]byte(testToken))) {
				t.Errorf("%s: got %q, want neither token nor cookie in it", verb, text)
			}
		}
	}
	if got, want := fmt.Sprint(c), "splunk 127.0.0.1:"; !strings.HasPrefix(got, want) {
		t.Errorf("collector: got %q, want %q and the port", got, want)
	}
}

// refuseID is a rule of a server that refuses one event.
func refuseID(id string, code int) func(splunktest.Event) int {
	return func(e splunktest.Event) int {
		if strings.Contains(string(e.Payload), `"id":"`+id+`"`) {
			return code
		}
		return 0
	}
}

func outcomes(delivered, rejected, unsent int) []destination.Outcome {
	return slices.Concat(slices.Repeat([]destination.Outcome{destination.Delivered}, delivered),
		slices.Repeat([]destination.Outcome{destination.Rejected}, rejected),
		slices.Repeat([]destination.Outcome{destination.Unsent}, unsent))
}

func stored(s *splunktest.Server) (ids []string) {
	for _, e := range s.Events() {
		id, _, _ := strings.Cut(strings.TrimPrefix(string(e.Payload), `{"id":"`), `"`)
		ids = append(ids, id)
	}
	return ids
}

func TestRefusalOfOneEvent(t *testing.T) {
	for _, code := range []int{6, 12, 13, 15} {
		for _, c := range []struct {
			name    string
			options splunktest.Options
			fields  map[string]any
			want    []destination.Outcome
			stored  int
		}{
			{"Splunk stores the front", splunktest.Options{}, map[string]any{}, outcomes(4, 1, 3), 4},
			{"others store nothing", splunktest.Options{WholeBatch: true}, map[string]any{},
				slices.Concat(outcomes(0, 0, 4), outcomes(0, 1, 3)), 0},
			{"nobody acknowledges the front", splunktest.Options{Ack: true}, map[string]any{"indexer_ack": "require"},
				slices.Concat(outcomes(0, 0, 4), outcomes(0, 1, 3)), 4},
		} {
			c.options.Token, c.options.Plain, c.options.Refuse = testToken, true, refuseID("e-4", code)
			s := splunktest.Start(c.options)
			dst := openAt(t, s.URL, fixedEnv(), c.fields)
			res := dst.Send(t.Context(), destinationtest.Batch(8))
			wantFailure(t, c.name, res, destination.RejectedBatch, fmt.Sprintf("code %d", code))
			if !slices.Equal(res.Events, c.want) {
				t.Errorf("%s: got outcomes %v, want %v", c.name, res.Events, c.want)
			}
			if reason := res.Reasons[4]; len(res.Reasons) != 1 || !strings.Contains(reason, fmt.Sprintf("code %d", code)) {
				t.Errorf("%s: got reasons %v, want one for event 4", c.name, res.Reasons)
			}
			if got := len(s.Events()); got != c.stored {
				t.Errorf("%s: got %d events stored, want %d", c.name, got, c.stored)
			}
			dst.Close()
			s.Close()
		}
	}
}

// TestNumbersThatBlameNobody has refusals that do not name an event of the
// request: the batch is to be split.
func TestNumbersThatBlameNobody(t *testing.T) {
	large := destinationtest.Batch(2)
	large.Events[0].Payload = []byte(`{"id":"e-0","x":"` + strings.Repeat("x", cloudCap) + `"}`)
	for _, c := range []struct {
		name     string
		batch    *destination.Batch
		answer   string
		tooLarge bool
	}{
		{"no number", destinationtest.Batch(5), `{"text":"Invalid data format","code":6}`, false},
		{"behind the last", destinationtest.Batch(5), `{"text":"Invalid data format","code":6,"invalid-event-number":5}`, false},
		{"below the first", destinationtest.Batch(5), `{"text":"Invalid data format","code":6,"invalid-event-number":-1}`, false},
		{"alone", destinationtest.Batch(1), `{"text":"Invalid data format","code":6,"invalid-event-number":0}`, false},
		{"over the cloud's cap", large, `{"text":"Invalid data format","code":6,"invalid-event-number":0}`, true},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			_, _ = io.Copy(io.Discard, q.Body)
			w.Header().Set("Server", "Splunkd")
			w.WriteHeader(400)
			_, _ = io.WriteString(w, c.answer)
		}))
		dst := openAt(t, s.URL, fixedEnv(), map[string]any{})
		res := dst.Send(t.Context(), c.batch)
		wantFailure(t, c.name, res, destination.RejectedBatch, "code 6")
		if res.Err != nil && res.Err.TooLarge != c.tooLarge {
			t.Errorf("%s: got too large %t, want %t", c.name, res.Err.TooLarge, c.tooLarge)
		}
		if c.batch != large && res.Events != nil {
			t.Errorf("%s: got outcomes %v, want none", c.name, res.Events)
		}
		if c.batch == large && !slices.Equal(res.Events, []destination.Outcome{destination.Rejected, destination.Unsent}) {
			t.Errorf("%s: got outcomes %v, want the first, which was sent alone, rejected", c.name, res.Events)
		}
		dst.Close()
		s.Close()
	}
}

// TestTooLargeIsSplit has requests of several events that are too large for the
// collector: no event is to blame, whatever number it names.
func TestTooLargeIsSplit(t *testing.T) {
	k := newCollector(Config{IndexerAck: AckOff}, testToken, destination.Env{}, wire{scheme: "https"}, nil)
	s := &sending{c: k, l: newLane(AckOff), events: make([]destination.Event, 3), outcomes: make([]destination.Outcome, 3)}
	code, zero := codeInvalidFormat, 0
	a := &answer{status: 400, header: http.Header{"Server": {"Splunkd"}}, coded: true, reply: reply{Code: &code, Invalid: &zero}}
	s.err = k.judge(a)
	s.refused(a, s.err, 0, 3, cloudCap+1)
	if res := s.result(); !res.Err.TooLarge || res.Events != nil {
		t.Errorf("result: got too large %t, outcomes %v, want too large and none", res.Err.TooLarge, res.Events)
	}
}

func TestIndexIsToBlameAndNoEvent(t *testing.T) {
	s := splunktest.Start(splunktest.Options{Token: testToken, Plain: true, Indexes: []string{"main"}})
	defer s.Close()
	dst := openAt(t, s.URL, fixedEnv(), map[string]any{"index": "audit"})
	defer dst.Close()
	res := dst.Send(t.Context(), destinationtest.Batch(3))
	wantFailure(t, "wrong index", res, destination.Misconfigured, "index")
	if res.Events != nil || len(s.Events()) != 0 {
		t.Errorf("result: got outcomes %v and %d events stored, want none", res.Events, len(s.Events()))
	}
}
