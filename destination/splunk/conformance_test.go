package splunk

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/destinationtest"
)

const testToken = "5a1c7f52-0b7a-4f38-9d7e-2c41d9f6a0b3"

// openAt returns a collector for the receiver at rawURL with the given other
// fields. A receiver whose URL begins with http: is spoken to without TLS.
func openAt(t testing.TB, rawURL string, env destination.Env, fields map[string]any) *Collector {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]any{"domain": u.Hostname(), "port": port}
	for name, value := range fields {
		all[name] = value
	}
	config, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	secrets := destination.Secrets{Token: testToken}
	canonical, err := Kind{}.Check(config, secrets, destination.Rules{})
	if err != nil {
		t.Fatalf("Check: got %v, want nil", err)
	}
	dst, err := Kind{}.Open(canonical, secrets, env)
	if err != nil {
		t.Fatalf("Open: got %v, want nil", err)
	}
	c := dst.(*Collector)
	c.pace = pace{first: time.Millisecond, most: 10 * time.Millisecond, limit: 20 * time.Second}
	if u.Scheme == "http" {
		w := c.wire
		w.scheme = "http"
		plain := newCollector(c.config, testToken, env, w, nil)
		plain.pace = c.pace
		return plain
	}
	return c
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		fields map[string]any
		accept string
	}{
		{"auto without acknowledgement", map[string]any{}, `{"text":"Success","code":0}`},
		{"auto with acknowledgement", map[string]any{"index": "audit"}, `{"text":"Success","code":0,"ackId":%d}`},
		{"require", map[string]any{"indexer_ack": "require", "source": "sluice"}, `{"text":"Success","code":0,"ackId":%d}`},
		{"off", map[string]any{"indexer_ack": "off", "sourcetype": "_json"}, `{"text":"Success","code":0,"ackId":%d}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var ids atomic.Int64
			h := destinationtest.Harness{Secrets: []string{testToken}, InOrder: true, BodyDecides: true, Read: readRequest, Aside: aside}
			h.Open = func(t *testing.T, url string, env destination.Env) destination.Destination {
				return openAt(t, url, env, c.fields)
			}
			h.Accept = func(w http.ResponseWriter, r destinationtest.Request) {
				switch {
				case strings.HasSuffix(r.URL, "/health"):
					io.WriteString(w, `{"text":"HEC is healthy","code":17}`)
				case len(r.Body) == 0:
					w.WriteHeader(http.StatusBadRequest)
					io.WriteString(w, `{"text":"No data","code":5}`)
				default:
					io.WriteString(w, strings.Replace(c.accept, "%d", strconv.FormatInt(ids.Add(1), 10), 1))
				}
			}
			destinationtest.Test(t, h)
		})
	}
}

// aside acknowledges whatever it is asked about. It unpacks other requests, as
// web servers can: the suite looks for words in them.
func aside(w http.ResponseWriter, q *http.Request) bool {
	if !strings.HasSuffix(q.URL.Path, "/ack") {
		unpack(q)
		return false
	}
	var in struct{ Acks []int }
	body, _ := io.ReadAll(q.Body)
	_ = json.Unmarshal(body, &in)
	acks := map[string]bool{}
	for _, id := range in.Acks {
		acks[strconv.Itoa(id)] = true
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"acks": acks})
	return true
}

// unpack replaces the body of a gzipped request of the announced length by what
// is in it.
func unpack(q *http.Request) {
	packed, err := io.ReadAll(q.Body)
	unzip, notGzip := gzip.NewReader(bytes.NewReader(packed))
	if err != nil || notGzip != nil || q.Header.Get("Content-Encoding") != "gzip" || q.ContentLength != int64(len(packed)) {
		q.Body = io.NopCloser(bytes.NewReader(packed))
		return
	}
	var b bytes.Buffer
	_, _ = b.ReadFrom(unzip)
	q.Body, q.ContentLength = io.NopCloser(&b), int64(b.Len())
}

func readRequest(t *testing.T, r destinationtest.Request) ([][]byte, string) {
	if len(r.Body) == 0 {
		return nil, ""
	}
	var out [][]byte
	for dec := json.NewDecoder(bytes.NewReader(r.Body)); ; {
		var o struct {
			Time  json.Number
			Event json.RawMessage
		}
		if err := dec.Decode(&o); err == io.EOF {
			return out, ""
		} else if err != nil {
			t.Errorf("body: got %v, want objects one after another", err)
			return out, ""
		}
		out = append(out, o.Event)
	}
}
