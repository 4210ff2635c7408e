package s3

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/destinationtest"
)

// reply is what a scripted server answers.
type reply struct {
	status int
	header map[string]string
	body   string
}

func refusal(status int, code, more string) reply {
	return reply{status: status, body: fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>%s</Code><Message>the words of the server</Message>%s<RequestId>1</RequestId></Error>`, code, more)}
}

// scripted is a server that answers each request with the next reply, and the
// last one again and again.
type scripted struct {
	mu       sync.Mutex
	replies  []reply
	requests []*http.Request
}

func (s *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // what the sender does not finish is not its point
	s.mu.Lock()
	next := s.replies[0]
	if len(s.replies) > 1 {
		s.replies = s.replies[1:]
	}
	s.requests = append(s.requests, r)
	s.mu.Unlock()
	for name, value := range next.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(next.status)
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, next.body)
	}
}

func serve(t *testing.T, fields map[string]any, replies ...reply) (*scripted, *Bucket) {
	t.Helper()
	s := &scripted{replies: replies}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	b := openAt(t, server.URL, testSecret, testEnv(), fields)
	t.Cleanup(func() { b.Close() })
	return s, b
}

func TestCodes(t *testing.T) {
	const (
		wait = destination.Unavailable
		hold = destination.Misconfigured
	)
	for _, c := range []struct {
		status int
		code   string
		class  destination.Class // 0: the object is there
	}{
		{412, "PreconditionFailed", 0},
		{503, "SlowDown", wait},
		{503, "ServiceUnavailable", wait},
		{500, "InternalError", wait},
		{200, "InternalError", wait}, // a failure that comes with 200
		{400, "RequestTimeout", wait},
		{409, "OperationAborted", wait},
		{409, "ConditionalRequestConflict", wait},
		{400, "BadDigest", wait},
		{400, "IncompleteBody", wait},
		{400, "XAmzContentSHA256Mismatch", wait},
		{403, "RequestTimeTooSkewed", hold},
		{403, "InvalidAccessKeyId", hold},
		{404, "XAdminUserNotFound", hold},
		{403, "SignatureDoesNotMatch", hold},
		{403, "AccessDenied", hold},
		{400, "ExpiredToken", hold},
		{400, "InvalidToken", hold},
		{403, "AccountProblem", hold},
		{404, "NoSuchBucket", hold},
		{301, "PermanentRedirect", hold},
		{400, "AuthorizationHeaderMalformed", hold},
		{400, "InvalidBucketName", hold},
		{400, "InvalidRequest", hold},
		{400, "KMS.DisabledException", hold},
		{400, "KMS.ThrottlingException", wait},
		{400, "ThrottlingException", wait},
		{405, "MethodNotAllowed", hold},
		{400, "EntityTooLarge", hold},
		{400, "SomethingNew", hold},
		{403, "SomethingNew", hold},
		{503, "SomethingNew", wait},
	} {
		t.Run(fmt.Sprintf("%d %s", c.status, c.code), func(t *testing.T) {
			t.Parallel()
			_, b := serve(t, nil, refusal(c.status, c.code, ""))
			_, err := b.Put(t.Context(), object(t, b, 2))
			if c.class == 0 {
				if err != nil {
					t.Fatalf("Put: got %v, want nil", err)
				}
				return
			}
			if err == nil || err.Class != c.class {
				t.Fatalf("Put: got %v, want %v", err, c.class)
			}
			if want := c.code + ": the words of the server"; !strings.Contains(err.Message, want) {
				t.Errorf("message: got %q, want %q in it", err.Message, want)
			}
			if got, want := err.TooLarge, c.code == "EntityTooLarge"; got != want {
				t.Errorf("TooLarge: got %t, want %t", got, want)
			}
		})
	}
}

// Somebody else's answer, a page of a proxy for example, is no acceptance, and one
// that broke off may have been a failure's.
func TestAnswersThatAreNotTheBuckets(t *testing.T) {
	const page = "<!DOCTYPE html><html><body>We are down for maintenance.</body></html>"
	tag := map[string]string{"ETag": `"0f343b0931126a20f133d67c2b018a3b"`}
	cut := map[string]string{"Content-Length": "1000"}
	for name, c := range map[string]struct {
		reply
		class destination.Class // 0: the object is there
	}{
		"page":              {reply{status: 200, body: page}, destination.Misconfigured},
		"page, 412":         {reply{status: 412, body: page}, destination.Misconfigured},
		"JSON":              {reply{status: 200, body: `{"ok":true}`}, destination.Misconfigured},
		"words":             {reply{status: 202, body: "queued"}, destination.Misconfigured},
		"nothing":           {reply{status: 200}, 0},
		"white space":       {reply{status: 200, body: " \n"}, 0},
		"words with a tag":  {reply{status: 200, header: tag, body: "stored"}, 0},
		"failure, cut":      {reply{status: 200, header: cut, body: "<Error><Code"}, destination.Unavailable},
		"cut before a word": {reply{status: 200, header: cut}, destination.Unavailable},
		"412, cut":          {reply{status: 412, header: cut, body: "<Error><Code"}, destination.Unavailable},
		"412 of the bucket": {refusal(412, "PreconditionFailed", ""), 0},
		"412 without words": {reply{status: 412}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, b := serve(t, nil, c.reply)
			_, err := b.Put(t.Context(), object(t, b, 2))
			switch {
			case c.class == 0 && err != nil:
				t.Errorf("Put: got %v, want nil", err)
			case c.class != 0 && (err == nil || err.Class != c.class):
				t.Errorf("Put: got %v, want %v", err, c.class)
			case err != nil && err.NothingStored:
				t.Error("NothingStored: got true of an answer that tells nothing")
			}
		})
	}
}

// TestNothingStored: an object whose fate is in doubt must keep its key.
func TestNothingStored(t *testing.T) {
	for _, c := range []struct {
		reply
		want bool
	}{
		{refusal(403, "AccessDenied", ""), true},
		{refusal(404, "NoSuchBucket", ""), true},
		{refusal(301, "PermanentRedirect", ""), true},
		{refusal(400, "EntityTooLarge", ""), true},
		{refusal(501, "NotImplemented", ""), true},
		{refusal(400, "SomethingNew", ""), true},
		{reply{status: 400, body: "<Error><Code>AccessDenied</Code><Message>cut sh"}, false},
		{reply{status: 403, body: "<Error><Message>no code</Message></Error>"}, false},
		{reply{status: 403}, false},
		{reply{status: 403, body: "<html><body>Forbidden</body></html>"}, false},
		{reply{status: 403, body: `{"Code":"AccessDenied"}`}, false},
		{reply{status: 404, body: "not found"}, false},
		{reply{status: 302, header: map[string]string{"Location": "/login"}}, false},
		{reply{status: 413}, false},
		{refusal(400, "RequestTimeout", ""), false},
		{refusal(400, "BadDigest", ""), false},
		{refusal(429, "SomethingNew", ""), false},
		{refusal(501, "SomethingNew", ""), false},
		{reply{status: 501}, false},
		{reply{status: 408}, false},
		{reply{status: 499}, false},
		{refusal(409, "ConditionalRequestConflict", ""), false},
		{reply{status: 409}, false},
		{refusal(503, "SlowDown", ""), false},
		{refusal(500, "InternalError", ""), false},
		{refusal(200, "InternalError", ""), false},
		{reply{status: 502}, false},
	} {
		_, b := serve(t, nil, c.reply)
		_, err := b.Put(t.Context(), object(t, b, 2))
		if err == nil || err.NothingStored != c.want {
			t.Errorf("Put answered with %d %.90q: got %+v, want nothing stored %t", c.status, c.body, err, c.want)
		}
	}
}

// TestNothingStoredWithoutAnAnswer: what was never sent is not stored, what was
// may be.
func TestNothingStoredWithoutAnAnswer(t *testing.T) {
	for _, answers := range []bool{false, true} {
		server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
		defer server.Close()
		b := openAt(t, server.URL, testSecret, testEnv(), nil)
		defer b.Close()
		if !answers {
			server.Close()
		}
		_, err := b.Put(t.Context(), object(t, b, 2))
		if err == nil || err.NothingStored == answers {
			t.Errorf("Put to a server that listens %t: got %+v, want nothing stored %t", answers, err, !answers)
		}
	}
}

func TestDamageOnTheWayIsHeldAfterThreeTimes(t *testing.T) {
	_, b := serve(t, nil, refusal(400, "BadDigest", ""))
	for try, want := range []destination.Class{destination.Unavailable, destination.Unavailable, destination.Misconfigured} {
		if _, err := b.Put(t.Context(), object(t, b, 2)); err == nil || err.Class != want {
			t.Errorf("try %d: got %v, want %v", try+1, err, want)
		}
	}
}

// TestTimeForLargerObjectsOfBefore: an object that was built before object_bytes
// became smaller keeps its size, and has the time that it needs.
func TestTimeForLargerObjectsOfBefore(t *testing.T) {
	_, b := serve(t, map[string]any{"object_bytes": minObjectBytes}, reply{status: 200})
	if got, want := b.Limits().Timeout, timeout(maxObjectBytes+1<<20); got < want {
		t.Errorf("Limits: got a timeout of %v, want %v at least", got, want)
	}
}

func TestServerWithoutConditions(t *testing.T) {
	for _, status := range []int{400, 501} {
		s, b := serve(t, nil, refusal(status, "NotImplemented", "<Header>If-None-Match</Header>"), reply{status: 200})
		o := object(t, b, 2)
		if _, err := b.Put(t.Context(), o); err == nil || err.Class != destination.Unavailable || !strings.Contains(err.Message, "If-None-Match") {
			t.Fatalf("first try: got %v, want it to name the condition and to be tried again", err)
		}
		if _, err := b.Put(t.Context(), o); err != nil {
			t.Fatalf("second try: got %v, want nil", err)
		}
		for i, want := range []string{"*", ""} {
			if got := s.requests[i].Header.Get("If-None-Match"); got != want {
				t.Errorf("If-None-Match of try %d: got %q, want %q", i+1, got, want)
			}
		}
	}
	_, b := serve(t, nil, refusal(501, "NotImplemented", ""))
	_, _ = b.Put(t.Context(), object(t, b, 2)) // teaches it
	if _, err := b.Put(t.Context(), object(t, b, 2)); err == nil || err.Class != destination.Misconfigured {
		t.Errorf("without the condition: got %v, want %v", err, destination.Misconfigured)
	}
	_, b = serve(t, nil, refusal(501, "NotImplemented", ""), refusal(412, "PreconditionFailed", ""))
	_, _ = b.Put(t.Context(), object(t, b, 2))
	if _, err := b.Put(t.Context(), object(t, b, 2)); err == nil {
		t.Error("412 to a request without a condition: got delivered, want an error")
	}
}

func TestRegionIsFoundOut(t *testing.T) {
	told := map[string]string{"X-Amz-Bucket-Region": "ap-south-2"}
	for name, replies := range map[string][]reply{
		"200":           {{status: 200, header: told}, {status: 200}},
		"301":           {{status: 301, header: told}, {status: 200}},
		"400":           {{status: 400, header: told}, {status: 200}},
		"403":           {{status: 403, header: told}, {status: 200}},
		"by the body":   {{status: 403}, refusal(400, "AuthorizationHeaderMalformed", "<Region>ap-south-2</Region>"), {status: 200}},
		"by a redirect": {{status: 403}, {status: 301, header: told, body: refusal(301, "PermanentRedirect", "").body}, {status: 200}},
	} {
		t.Run(name, func(t *testing.T) {
			s, b := serve(t, map[string]any{"region": ""}, replies...)
			o := object(t, b, 2)
			if _, err := b.Put(t.Context(), o); err != nil {
				t.Fatalf("Put: got %v, want nil", err)
			}
			if s.requests[0].Method != http.MethodHead || len(s.requests) != len(replies) {
				t.Errorf("requests: got %d, the first %s, want %d, the first HEAD", len(s.requests), s.requests[0].Method, len(replies))
			}
			if got, want := s.requests[len(replies)-1].Header.Get("Authorization"), "/ap-south-2/s3/"; !strings.Contains(got, want) {
				t.Errorf("Authorization: got %q, want %q in it", got, want)
			}
		})
	}
}

// TestRegionIsCorrected: what was found out before can be wrong when the bucket
// was made anew elsewhere.
func TestRegionIsCorrected(t *testing.T) {
	elsewhere := reply{status: 301, header: map[string]string{"X-Amz-Bucket-Region": "ap-south-2"}, body: refusal(301, "PermanentRedirect", "").body}
	_, b := serve(t, map[string]any{"region": ""}, reply{status: 200, header: map[string]string{"X-Amz-Bucket-Region": "us-west-1"}}, elsewhere, reply{status: 200})
	o := object(t, b, 2)
	if _, err := b.Put(t.Context(), o); err == nil || err.Class != destination.Unavailable || !strings.Contains(err.Message, "ap-south-2") {
		t.Fatalf("first try: got %v, want it to name the region and to be tried again", err)
	}
	if _, err := b.Put(t.Context(), o); err != nil || b.knownRegion() != "ap-south-2" {
		t.Errorf("second try: got %v in %q, want delivered in ap-south-2", err, b.knownRegion())
	}
}

func TestRegionThatCannotBeFoundOut(t *testing.T) {
	for _, c := range []struct {
		reply
		class destination.Class
		words string
	}{
		{reply{status: 404}, destination.Misconfigured, "bucket does not exist"},
		{reply{status: 503, header: map[string]string{"Retry-After": "9"}}, destination.Unavailable, "503"},
	} {
		_, b := serve(t, map[string]any{"region": ""}, c.reply)
		_, err := b.Put(t.Context(), object(t, b, 1))
		if err == nil || err.Class != c.class || !strings.Contains(err.Message, c.words) {
			t.Errorf("Put when HEAD is answered with %d: got %v, want %v with %q", c.status, err, c.class, c.words)
		}
		if b.knownRegion() != "" {
			t.Errorf("region: got %q, want none", b.knownRegion())
		}
	}
	_, b := serve(t, map[string]any{"region": ""}, reply{status: 403, header: map[string]string{"X-Amz-Bucket-Region": "evil.example.com/"}}, reply{status: 200})
	if _, err := b.Put(t.Context(), object(t, b, 1)); err != nil || b.knownRegion() != firstRegion {
		t.Errorf("Put after a false region: got %v and %q, want delivered in %s", err, b.knownRegion(), firstRegion)
	}
}

func TestConfiguredRegionIsNotReplaced(t *testing.T) {
	_, b := serve(t, nil, reply{status: 301, header: map[string]string{"X-Amz-Bucket-Region": "ap-south-2"}, body: refusal(301, "PermanentRedirect", "").body})
	_, err := b.Put(t.Context(), object(t, b, 1))
	if err == nil || err.Class != destination.Misconfigured || !strings.Contains(err.Message, "lies in the region ap-south-2, not us-east-1") {
		t.Errorf("Put: got %v, want it to name the right region", err)
	}
}

func TestCheckTellsWhatIsLeft(t *testing.T) {
	for name, c := range map[string]struct {
		replies []reply
		ok      bool
		words   string
	}{
		"versions":   {[]reply{{status: 200}, {status: 403}, {status: 204, header: map[string]string{"X-Amz-Delete-Marker": "true"}}}, true, "a delete marker stay"},
		"no rights":  {[]reply{{status: 200}, refusal(403, "AccessDenied", "")}, true, "may not delete it: the object sluice-check/"},
		"busy":       {[]reply{{status: 200}, {status: 403}, {status: 503}}, true, "could not be deleted just now: the object sluice-check/"},
		"other data": {[]reply{{status: 200}, {status: 200, body: "something else"}}, false, "does not give it back as it was"},
		"conditions": {[]reply{refusal(501, "NotImplemented", ""), {status: 200}, {status: 403}}, true, "without a condition"},
	} {
		t.Run(name, func(t *testing.T) {
			_, b := serve(t, nil, c.replies...)
			_, last := lastStage(t.Context(), b)
			if last.Name != "accept" || last.OK != c.ok || !strings.Contains(last.Message, c.words) {
				t.Errorf("last stage: got %+v, want ok %t with %q", last, c.ok, c.words)
			}
		})
	}
}

// TestSignatureIsNotRepeated: until it expires, a signature is a secret.
func TestSignatureIsNotRepeated(t *testing.T) {
	_, b := serve(t, nil, reply{status: 400, body: "bad header: AWS4-HMAC-SHA256 Credential=AKIA, Signature=0123456789abcdef0123"})
	_, err := b.Put(t.Context(), object(t, b, 1))
	if err == nil || strings.Contains(err.Message, "0123456789abcdef") || !strings.Contains(err.Message, "Credential=AKIA") {
		t.Errorf("Put: got %v, want the words without the signature", err)
	}
}

func TestAnswerThatIsCutShort(t *testing.T) {
	for body, want := range map[string]answer{
		"<Error><Code>SlowDown</Code><Message>take it easy</Message><Requ": {Code: "SlowDown", Message: "take it easy"},
		"<Error><Code>SlowDown</Code><Mess":                                {Code: "SlowDown"},
		"<Error><Code></Code></Error>":                                     {whole: true},
		"<html><Code>SlowDown</Code></html>":                               {},
		"not XML":                                                          {},
		"":                                                                 {},
		"<?xml version=\"1.0\"?>\n<Error>\n<Code>A</Code><Message>b &amp; c</Message><Region>r-1</Region><X><Code>B</Code></X></Error>": {Code: "A", Message: "b & c", Region: "r-1", whole: true},
	} {
		got, ok := (&exchange{body: []byte(body)}).answer()
		if got != want || ok != (want.Code != "") {
			t.Errorf("answer of %q: got %+v, %t, want %+v", body, got, ok, want)
		}
	}
}

func TestEncoderIsDeterministic(t *testing.T) {
	_, b := serve(t, nil, reply{status: 200})
	one, two := object(t, b, 400), object(t, b, 400)
	if one.SHA256 != two.SHA256 {
		t.Error("the same events: got other bytes")
	}
	// Payloads without room for their line ends give the same bytes.
	var content bytes.Buffer
	enc := newEncoder(&content)
	for _, e := range destinationtest.Batch(400).Events {
		e.Payload = bytes.Clone(e.Payload)[:len(e.Payload):len(e.Payload)]
		if err := enc.Add(&e); err != nil {
			t.Fatalf("Add: got %v, want nil", err)
		}
	}
	if err := enc.Close(); err != nil {
		t.Fatalf("Close: got %v, want nil", err)
	}
	got, _ := io.ReadAll(io.NewSectionReader(one.Content, 0, one.Size))
	if !bytes.Equal(got, content.Bytes()) {
		t.Error("events that lie alone: got other bytes than for events in a block")
	}
	if _, err := b.Encoder(2, &content); err == nil {
		t.Error("Encoder of an unknown version: got nil, want an error")
	}
}

func TestKeysSortAsEvents(t *testing.T) {
	_, b := serve(t, map[string]any{"prefix": "audit"}, reply{status: 200})
	at := time.Date(2026, 12, 31, 23, 59, 30, 0, time.FixedZone("", 3600))
	last := ""
	for _, first := range []uint64{1, 9, 10, 99_999, 100_000, 18_446_744_073_709_551_000} {
		key := b.Key(destination.ObjectName{Log: "a1", Stream: 3, Partition: "git", First: first, Last: first + 5, Accepted: at})
		if !strings.HasPrefix(key, "audit/2026/12/31/22/59/a1-3-git-") || key <= last {
			t.Errorf("key from %d: got %q, want it behind %q", first, key, last)
		}
		last = key
	}
	one := destination.ObjectName{Log: "a1", Stream: 3, Partition: "git", First: 1, Last: 6, Accepted: at}
	other, next := one, one
	other.Variant, next.First = "0123456789abcdef", 2
	if got, want := b.Key(other), "audit/2026/12/31/22/59/a1-3-git-00000000000000000001-00000000000000000006-0123456789abcdef.json.log.gz"; got != want || got >= b.Key(next) {
		t.Errorf("key of a variant: got %q, want %q", got, want)
	}
}

// FuzzAnswer has bodies that nobody thought of: what is taken from them is never
// more than they hold.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(refusal(400, "BadDigest", "<Region>r-1</Region>").body))
	f.Add([]byte("<Error><Code>A</Code>"))
	f.Add([]byte("<?xml version=\"1.0\"?><Error><A><B></Error>"))
	f.Fuzz(func(t *testing.T, body []byte) {
		x := &exchange{status: 400, body: body}
		a, ok := x.answer()
		if n := len(a.Code) + len(a.Message) + len(a.Region); n > 3*len(body) || ok != (a.Code != "") {
			t.Errorf("answer of %q: got %+v, %t", body, a, ok)
		}
		if r := x.regionTold(); r != "" && !regionForm.MatchString(r) {
			t.Errorf("region of %q: got %q", body, r)
		}
	})
}
