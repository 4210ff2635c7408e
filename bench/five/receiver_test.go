package five

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/klauspost/compress/gzip"

	"github.com/sluicelog/sluice/client"
	"github.com/sluicelog/sluice/destination/cloudlogging/cloudloggingtest"
	"github.com/sluicelog/sluice/destination/eventhubs/eventhubstest"
	"github.com/sluicelog/sluice/destination/s3/s3test"
	"github.com/sluicelog/sluice/destination/splunk/splunktest"
)

// The kinds, as the API names them.
const (
	kindHTTP         = "http"
	kindSplunk       = "splunk"
	kindEventHubs    = "eventhubs"
	kindS3           = "s3"
	kindCloudLogging = "cloudlogging"
)

const namespace = "acme"

// receiver is a destination with what it holds.
type receiver struct {
	kind    string
	shelf   *shelf
	proxies []*proxy // the first is the one that events go through; the others never die
	config  map[string]any
	secrets map[string]string
	// tolerant: it refuses no event any more.
	tolerant atomic.Bool
	// words are what the receiver says about a poisoned event.
	words string
	// hidden may not be in the server's log, beside the secrets.
	hidden []string
	// refresh reads what has arrived; nil when that is known at any time.
	refresh func(context.Context) error
}

func (r *receiver) set(t *testing.T, f fault) {
	t.Helper()
	for i, p := range r.proxies {
		if i > 0 && f == die {
			f = pass // events would not come as far as to be stored
		}
		if err := p.set(f); err != nil {
			t.Fatalf("%s: %v", r.kind, err)
		}
	}
}

// refuses reports whether the receiver refuses an event.
func (r *receiver) refuses(payload []byte) bool {
	return !r.tolerant.Load() && bytes.Contains(payload, mark(r.kind))
}

// felt returns how many connections the fault has met.
func (r *receiver) felt() (count int) {
	for _, p := range r.proxies {
		count += p.felt()
	}
	return count
}

// stream is the stream to the receiver, as its owner configures it.
func (r *receiver) stream() (client.StreamSpec, error) {
	config, err := json.Marshal(r.config)
	return client.StreamSpec{Namespace: namespace, Name: "to " + r.kind, Kind: r.kind, Config: config, Secrets: r.secrets, Start: "earliest"}, err
}

// front puts a proxy before an address.
func front(t *testing.T, target string, config *tls.Config, greeting int64) *proxy {
	t.Helper()
	p, err := newProxy(target, config, greeting)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	return p
}

func (p *proxy) portNumber() int {
	n, _ := strconv.Atoi(p.address[strings.LastIndexByte(p.address, ':')+1:])
	return n
}

// serve runs a receiver that speaks HTTP and returns its address.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// What the receiver of webhooks compares.
const (
	verificationToken = "five-verification-token"
	headerValue       = "five-header-0123456789"
)

// webhooks is a receiver of single events.
func webhooks(t *testing.T, b *book) *receiver {
	const signing = "whsec_Zml2ZS1zaWduaW5nLXNlY3JldC0wMTIzNDU2Nzg5YWI="
	r := &receiver{kind: kindHTTP, shelf: newShelf(kindHTTP, b), words: "refused_by is not a known field"}
	address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		switch {
		case err != nil:
			return // the sender was killed
		case q.Header.Get("X-Gitlab-Event-Streaming-Token") != verificationToken, q.Header.Get("Authorization") != "Bearer "+headerValue,
			!strings.HasPrefix(q.Header.Get("Webhook-Signature"), "v1,"):
			b.find("http: a request without token, header or signature: %v", q.Header)
		case r.refuses(body):
			http.Error(w, r.words, http.StatusBadRequest)
		case q.Header.Get("X-Sluice-Check") == "":
			r.shelf.take("", body)
		}
	}))
	r.proxies = []*proxy{front(t, address, nil, 0)}
	r.config = map[string]any{"url": "http://" + r.proxies[0].address + "/events",
		"headers": []any{map[string]any{"name": "Authorization", "value": "Bearer " + headerValue}}}
	r.secrets = map[string]string{"verification_token": verificationToken, "signing_secret": signing}
	r.hidden = []string{headerValue}
	return r
}

// collector is Splunk. The proxy ends TLS, to see where answers are.
func collector(t *testing.T, b *book) *receiver {
	r := &receiver{kind: kindSplunk, shelf: newShelf(kindSplunk, b), words: "Invalid data format"}
	server := splunktest.Start(splunktest.Options{
		Plain: true,
		Refuse: func(e splunktest.Event) int {
			if r.refuses(e.Payload) {
				return 6
			}
			return 0
		},
		Received: func(list []splunktest.Event) {
			for _, e := range list {
				r.shelf.take("", e.Payload)
			}
		},
	})
	t.Cleanup(server.Close)
	file, key, _, err := eventhubstest.Certificate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.LoadX509KeyPair(file, key)
	if err != nil {
		t.Fatal(err)
	}
	p := front(t, server.Listener.Addr().String(), &tls.Config{Certificates: []tls.Certificate{certificate}}, 0)
	r.proxies = []*proxy{p}
	r.config = map[string]any{"domain": "127.0.0.1", "port": p.portNumber(), "ssl_verify": false}
	r.secrets = map[string]string{"token": splunktest.Token}
	return r
}

// amqpGreeting is more than a sender needs to say before its first batch.
const amqpGreeting = 4096

// hub is an event hub.
func hub(t *testing.T, b *book) *receiver {
	r := &receiver{kind: kindEventHubs, shelf: newShelf(kindEventHubs, b), words: "The content is refused."}
	broker, err := eventhubstest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := broker.Close(); err != nil {
			t.Error(err)
		}
	})
	listener, err := broker.Listen(eventhubstest.ListenOptions{Answer: func(m eventhubstest.Message) string {
		for _, e := range m.Events {
			if r.refuses([]byte(e.Body)) {
				return "refuse"
			}
		}
		for _, e := range m.Events {
			r.shelf.take(e.ID, []byte(e.Body))
		}
		return "accept"
	}})
	if err != nil {
		t.Fatal(err)
	}
	p := front(t, listener.Host(), nil, amqpGreeting)
	r.proxies = []*proxy{p}
	r.config = map[string]any{"name": "audit"}
	r.secrets = map[string]string{"connection_string": "Endpoint=sb://" + p.address + "/;SharedAccessKeyName=" + eventhubstest.KeyName +
		";SharedAccessKey=" + eventhubstest.Key + ";UseDevelopmentEmulator=true"}
	r.hidden = []string{eventhubstest.Key, "SharedAccessSignature", "sig="}
	return r
}

// google is Cloud Logging with its token endpoint, each behind a proxy.
func google(t *testing.T, b *book) *receiver {
	r := &receiver{kind: kindCloudLogging, shelf: newShelf(kindCloudLogging, b), words: "refused_by is not for this log"}
	account, err := cloudloggingtest.NewAccount("acme-audit-1234")
	if err != nil {
		t.Fatal(err)
	}
	c := account.Config()
	c.Script = func(_ int, q cloudloggingtest.Request) (f cloudloggingtest.Fault) {
		for i, e := range q.Entries {
			if r.refuses(e.Payload) {
				if f.Entries == nil {
					f.Entries = map[int]cloudloggingtest.Error{}
				}
				f.Entries[i] = cloudloggingtest.Invalid(r.words)
			}
		}
		return f
	}
	c.Keep = func(list []cloudloggingtest.Entry) {
		for _, e := range list {
			r.shelf.take(e.InsertID, e.Payload)
		}
	}
	address := serve(t, cloudloggingtest.New(c))
	r.proxies = []*proxy{front(t, address, nil, 0), front(t, address, nil, 0)}
	r.config = map[string]any{"project_id": account.Project, "endpoint": "http://" + r.proxies[0].address,
		"token_url": "http://" + r.proxies[1].address + cloudloggingtest.TokenPath}
	r.secrets = map[string]string{"private_key": account.File()}
	r.hidden = append(strings.Split(strings.TrimSpace(account.PEM()), "\n"), "ya29.")
	return r
}

const (
	bucketName = "audit-five"
	objects    = "five/" // prefix of keys
)

// bucket is a bucket in which objects can be put, and nothing else.
func bucket(t *testing.T, b *book) *receiver {
	const secret = "five-secret-access-key-0123456789"
	r := &receiver{kind: kindS3, shelf: newShelf(kindS3, b)}
	r.shelf.once = true
	server := s3test.Run(t)
	if err := server.MakeBucket(t.Context(), bucketName); err != nil {
		t.Fatal(err)
	}
	if err := server.MakeUser(t.Context(), bucketName, "five-key-id", secret, "s3:PutObject"); err != nil {
		t.Fatal(err)
	}
	p := front(t, strings.TrimPrefix(server.URL, "http://"), nil, 0)
	r.proxies = []*proxy{p}
	r.config = map[string]any{"bucket": bucketName, "region": s3test.Region, "access_key_id": "five-key-id", "prefix": strings.TrimSuffix(objects, "/"),
		"endpoint": "http://" + p.address, "object_seconds": 1}
	r.secrets = map[string]string{"secret_access_key": secret}
	shop := &shop{server: server, shelf: r.shelf, known: map[string]bool{}}
	r.refresh = shop.read
	return r
}

// shop reads the objects of a bucket, which never change.
type shop struct {
	server *s3test.Server
	shelf  *shelf

	mu    sync.Mutex
	known map[string]bool
}

func (s *shop) read(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys, err := s.server.Keys(ctx, bucketName, "")
	if err != nil {
		return err
	}
	for _, key := range keys {
		switch {
		case s.known[key]:
			continue
		case !strings.HasPrefix(key, objects):
			s.shelf.book.find("s3: an object that is not below the prefix: %s", key)
			continue
		case strings.HasPrefix(key, objects+"sluice-check/"):
			continue
		}
		lines, err := s.lines(ctx, key)
		if err != nil {
			return err
		}
		for _, line := range lines {
			s.shelf.take("", line)
		}
		s.known[key] = true
	}
	return nil
}

func (s *shop) lines(ctx context.Context, key string) ([][]byte, error) {
	bucket := bucketName
	object, err := s.server.Client().GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return nil, err
	}
	defer object.Body.Close()
	zip, err := gzip.NewReader(object.Body)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(zip)
	return bytes.Split(bytes.TrimSuffix(content, []byte{'\n'}), []byte{'\n'}), err
}
