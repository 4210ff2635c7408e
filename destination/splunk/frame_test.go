package splunk

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/destinationtest"
	"github.com/sluicelog/sluice/destination/splunk/splunktest"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestTimeIsDecimal(t *testing.T) {
	for want, in := range map[string]time.Time{
		"1772359200.000000":     time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC),
		"1772359200.123000":     time.Date(2026, 3, 1, 11, 0, 0, 123e6, time.FixedZone("", 3600)),
		"1772359200.000007":     time.Date(2026, 3, 1, 10, 0, 0, 7999, time.UTC), // cut, not rounded
		"0.000000":              time.Unix(0, 0),
		"-1.500000":             time.Unix(-2, 500e6),
		"-0.000001":             time.Unix(-1, 999999e3),
		"253402300799.999999":   time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC),
		"-62135596800.000000":   {},
		"-9223372036854.775808": time.UnixMicro(-1 << 63),
	} {
		got := string(appendTime(nil, in))
		if got != want {
			t.Errorf("time %v: got %s, want %s", in, got, want)
		}
		if len(got) > maxTime || !json.Valid([]byte(got)) {
			t.Errorf("time %s: got %d bytes, want a JSON number of at most %d", got, len(got), maxTime)
		}
	}
}

func packed(f frame, events []destination.Event) []byte {
	return new(destination.Packers).Pack(func(p *destination.Packer) { f.pack(p, events) })
}

func unzip(t *testing.T, packed []byte) string {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatalf("unpack: got %v, want nil", err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("unpack: got %v, want nil", err)
	}
	return string(out)
}

// TestPayloadsAreUnchanged packs payloads that a JSON encoder would write in
// another way.
func TestPayloadsAreUnchanged(t *testing.T) {
	b := destinationtest.Batch(4)
	for i, p := range []string{`{"a":1.0000,"b":123456789012345678901}`, `{"html":"<b>&amp;</b>","u":"\u00e9é"}`, `{}`, `{"a":1,"a":2}`} {
		b.Events[i].Payload = []byte(p)
	}
	f := newFrame(Config{Source: `a"b\c`, SourceType: "_json", Index: "<audit>"})
	got := unzip(t, packed(f, b.Events))
	for i, line := range strings.Split(got, "\n") {
		want := string(b.Events[i].Payload) + "}"
		if _, after, _ := strings.Cut(line, `"event":`); after != want {
			t.Errorf("event %d: got %s, want %s", i, after, want)
		}
		var o struct{ Source, SourceType, Index string }
		if err := json.Unmarshal([]byte(line), &o); err != nil || o.Source != `a"b\c` || o.SourceType != "_json" || o.Index != "<audit>" {
			t.Errorf("fields of event %d: got %+v, %v, want those of the configuration", i, o, err)
		}
	}
	if strings.Contains(got, `"fields"`) || strings.Contains(got, `"host"`) {
		t.Errorf("body: got %s, want neither fields nor host", got)
	}
}

func TestRequestsAreBounded(t *testing.T) {
	event := func(size int) destination.Event { return destination.Event{Payload: bytes.Repeat([]byte("x"), size)} }
	f := newFrame(Config{})
	list := func(n, size int) (out []destination.Event) {
		for range n {
			out = append(out, event(size))
		}
		return out
	}
	for _, c := range []struct {
		name   string
		events []destination.Event
		want   int
	}{
		{"one", list(1, 10), 1},
		{"many small ones", list(1500, 10), 1000},
		{"bytes", list(1000, 2000), maxBytes / (2000 + f.overhead())},
		{"one that is too large alone", list(2, 2*maxBytes), 1},
		{"a large one behind a small one", append(list(1, 10), list(1, 2*maxBytes)...), 1},
	} {
		n, size := f.next(c.events)
		if n != c.want {
			t.Errorf("%s: got %d events, want %d", c.name, n, c.want)
		}
		if n > 1 && size > maxBytes {
			t.Errorf("%s: got %d bytes, want at most %d", c.name, size, maxBytes)
		}
		if raw := len(unzip(t, packed(f, c.events[:n]))); raw > size {
			t.Errorf("%s: got %d bytes, want at most the %d that were reckoned", c.name, raw, size)
		}
	}
}

func TestLimitsMakeOneRequest(t *testing.T) {
	for _, c := range []Config{{IndexerAck: AckOff}, {IndexerAck: AckAuto, Index: "audit", Source: "sluice", SourceType: "_json"}} {
		k := newCollector(c, testToken, destination.Env{}, wire{scheme: "https"}, nil)
		l := k.Limits()
		var events []destination.Event
		for range l.Events {
			events = append(events, destination.Event{Payload: bytes.Repeat([]byte("x"), l.Bytes/l.Events)})
		}
		if n, _ := k.frame.next(events); n != l.Events {
			t.Errorf("first request of the largest batch: got %d events, want all %d", n, l.Events)
		}
	}
	auto := newCollector(Config{IndexerAck: AckAuto}, testToken, destination.Env{}, wire{scheme: "https"}, nil)
	small := auto.Limits()
	auto.acking.Store(true)
	if large := auto.Limits(); large.Events != maxAckEvents || large.Bytes <= 3*small.Bytes || large.Timeout <= 5*time.Minute {
		t.Errorf("Limits with acknowledgement: got %+v, want more than %+v and more than 5 minutes", large, small)
	}
}

func fixedEnv() destination.Env {
	return destination.Env{
		Dialer:    destination.NewDialer(destination.DialerConfig{AllowPrivate: true}),
		UserAgent: "Sluice/1.0", Namespace: "acme",
		Now: func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) },
	}
}

// TestGolden compares what arrives with the sample of docs/destinations/splunk.md.
// The body is shown unpacked, and without its length, which depends on the
// packing.
func TestGolden(t *testing.T) {
	s := splunktest.Start(splunktest.Options{Token: testToken, Plain: true})
	defer s.Close()
	c := openAt(t, s.URL, fixedEnv(), map[string]any{"index": "audit", "sourcetype": "_json"})
	defer c.Close()
	c.lane("audit").channel = "c2fdd4f5-1e64-4b0c-9f9c-0a3e6a5f1d27"
	if res := c.Send(t.Context(), destinationtest.Batch(2)); res.Err != nil {
		t.Fatalf("Send: got %v, want delivered", res.Err)
	}
	q := s.Requests()[0]
	q.Header.Del("Content-Length")
	q.Header.Set("Authorization", strings.Replace(q.Header.Get("Authorization"), testToken, "TOKEN", 1))
	var head bytes.Buffer
	head.WriteString(q.Method + " " + q.Path + " HTTP/1.1\n")
	_ = q.Header.Write(&head)
	got := strings.ReplaceAll(head.String(), "\r\n", "\n") + "\n" + string(q.Body) + "\n"
	path := filepath.Join("testdata", "request.http")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatalf("write golden file: got %v, want nil", err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("read golden file: got %v, want nil", err)
	}
	if got != string(want) {
		t.Errorf("request: got\n%s\nwant\n%s", got, want)
	}
	guide, err := os.ReadFile("../../docs/destinations/splunk.md")
	if err != nil {
		t.Fatalf("read guide: got %v, want nil", err)
	}
	if !bytes.Contains(guide, want) {
		t.Errorf("docs/destinations/splunk.md: got no copy of testdata/request.http, want one:\n%s", want)
	}
}
