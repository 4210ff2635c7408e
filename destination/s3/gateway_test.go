package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/destinationtest"
	"github.com/sluicelog/sluice/destination/s3/s3test"
)

func testEnv() destination.Env {
	return destination.Env{
		Dialer:    destination.NewDialer(destination.DialerConfig{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}),
		UserAgent: "sluice-test", Now: time.Now, Namespace: "acme",
	}
}

// object encodes n events.
func object(t *testing.T, b *Bucket, n int) *destination.Object {
	t.Helper()
	events := destinationtest.Batch(n).Events
	var content bytes.Buffer
	enc, err := b.Encoder(b.Version(), &content)
	if err != nil {
		t.Fatalf("Encoder: got %v, want nil", err)
	}
	for i := range events {
		if err := enc.Add(&events[i]); err != nil {
			t.Fatalf("Add: got %v, want nil", err)
		}
	}
	if err := enc.Close(); err != nil {
		t.Fatalf("Close: got %v, want nil", err)
	}
	if got, want := enc.Written(), int64(content.Len()); got != want {
		t.Errorf("Written: got %d, want %d", got, want)
	}
	first, last := events[0], events[n-1]
	return &destination.Object{
		Key:  b.Key(destination.ObjectName{Log: "0123456789abcdef", Stream: 7, Partition: "audit", First: first.Seq, Last: last.Seq, Accepted: first.Accepted}),
		Size: int64(content.Len()), SHA256: sha256.Sum256(content.Bytes()), Content: bytes.NewReader(content.Bytes()),
		FirstID: string(first.ID), LastID: string(last.ID), Count: n,
	}
}

// openGateway returns a bucket at the server; fields replace those of its root
// user.
func openGateway(t *testing.T, s *s3test.Server, secret string, fields map[string]any) *Bucket {
	t.Helper()
	all := map[string]any{"access_key_id": s.AccessKeyID, "region": s3test.Region}
	for name, value := range fields {
		all[name] = value
	}
	b := openAt(t, s.URL, secret, testEnv(), all)
	t.Cleanup(func() { b.Close() })
	return b
}

// TestGateway runs against a server that nobody here wrote.
func TestGateway(t *testing.T) {
	s := s3test.Run(t)
	ctx := t.Context()
	if err := s.MakeBucket(ctx, testBucket); err != nil {
		t.Fatalf("make bucket: got %v, want nil", err)
	}
	t.Run("Put", func(t *testing.T) { testPut(t, s) })
	t.Run("Outcomes", func(t *testing.T) { testOutcomes(t, s) })
	t.Run("Large", func(t *testing.T) { testLarge(t, s) })
	t.Run("Region", func(t *testing.T) { testRegion(t, s) })
	t.Run("Check", func(t *testing.T) { testChecks(t, s) })
}

func testPut(t *testing.T, s *s3test.Server) {
	b := openGateway(t, s, s.Secret, map[string]any{"prefix": "put"})
	o := object(t, b, 500)
	const want = "put/2026/03/01/10/00/0123456789abcdef-7-audit-00000000000000000100-00000000000000000599.json.log.gz"
	if o.Key != want {
		t.Errorf("key: got %q, want %q", o.Key, want)
	}
	for try := range 3 { // the second and third are answered with 412
		existed, err := b.Put(t.Context(), o)
		if want := try > 0; err != nil || existed != want {
			t.Fatalf("try %d of Put: got existed %t, %v, want %t", try+1, existed, err, want)
		}
	}
	keys, err := s.Keys(t.Context(), testBucket, "put/")
	if err != nil || len(keys) != 1 || keys[0] != o.Key {
		t.Fatalf("keys: got %q, %v, want %q", keys, err, o.Key)
	}
	got, err := s.Client().GetObject(t.Context(), getInput(o.Key))
	if err != nil {
		t.Fatalf("GetObject: got %v, want nil", err)
	}
	defer got.Body.Close()
	content, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatalf("read object: got %v, want nil", err)
	}
	if sha256.Sum256(content) != o.SHA256 {
		t.Errorf("content: got %d bytes with another sum than the %d that were put", len(content), o.Size)
	}
	for name, want := range map[string]string{"sluice-first-id": "e-0", "sluice-last-id": "e-499", "sluice-count": "500"} {
		if got.Metadata[name] != want {
			t.Errorf("metadata %s: got %q, want %q", name, got.Metadata[name], want)
		}
	}
	if *got.ContentType != contentType || got.ContentEncoding != nil && *got.ContentEncoding != "" {
		t.Errorf("content type and encoding: got %v, %v, want %s and none", *got.ContentType, got.ContentEncoding, contentType)
	}
}

func testOutcomes(t *testing.T, s *s3test.Server) {
	for _, c := range []struct {
		name   string
		secret string
		fields map[string]any
		change func(*destination.Object)
		class  destination.Class
		words  string
	}{
		{"wrong secret", "not-the-secret", nil, nil, destination.Misconfigured, "does not belong to the access key"},
		{"unknown key", s.Secret, map[string]any{"access_key_id": "nobody"}, nil, destination.Misconfigured, "does not know the access key"},
		{"missing bucket", s.Secret, map[string]any{"bucket": "not-there"}, nil, destination.Misconfigured, "bucket does not exist"},
		{"damaged content", s.Secret, nil, func(o *destination.Object) { o.SHA256[0] ^= 1 }, destination.Unavailable, "damaged on the way"},
		{"wrong region", s.Secret, map[string]any{"region": "us-west-2"}, nil, destination.Misconfigured, "the bucket lies in the region " + s3test.Region},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := openGateway(t, s, c.secret, c.fields)
			o := object(t, b, 3)
			if c.change != nil {
				c.change(o)
			}
			_, err := b.Put(t.Context(), o)
			if err == nil || err.Class != c.class || !strings.Contains(err.Message, c.words) {
				t.Fatalf("Put: got %v, want %v with %q", err, c.class, c.words)
			}
			if strings.Contains(err.Message, s.Secret) {
				t.Errorf("message: got the secret in %q", err.Message)
			}
			if keys, err := s.Keys(t.Context(), testBucket, o.Key); err != nil || len(keys) != 0 {
				t.Errorf("keys after a refusal: got %q, %v, want none", keys, err)
			}
		})
	}
}

// testLarge has refusals of objects that do not fit into the buffers of a
// connection: the server closes it while the content is being sent.
func testLarge(t *testing.T, s *s3test.Server) {
	for name, c := range map[string]struct {
		secret string
		fields map[string]any
		words  string
	}{
		"wrong secret":   {"not-the-secret", nil, "does not belong to the access key"},
		"missing bucket": {s.Secret, map[string]any{"bucket": "not-there"}, "bucket does not exist"},
		"wrong region":   {s.Secret, map[string]any{"region": "us-west-2"}, "lies in the region " + s3test.Region},
	} {
		b := openGateway(t, s, c.secret, c.fields)
		if _, err := b.Put(t.Context(), large(b)); err == nil || err.Class != destination.Misconfigured || !strings.Contains(err.Message, c.words) {
			t.Errorf("%s: got %v, want it to say %q", name, err, c.words)
		}
	}
	b := openGateway(t, s, s.Secret, map[string]any{"region": "", "prefix": "large"})
	for range 2 {
		if _, err := b.Put(t.Context(), large(b)); err != nil {
			t.Errorf("Put of a large object: got %v, want nil", err)
		}
	}
}

// large is an object of 12 MiB that is no gzip.
func large(b *Bucket) *destination.Object {
	content := bytes.Repeat([]byte("0123456789abcdef"), 12<<20/16)
	return &destination.Object{Key: b.key("large"), Size: int64(len(content)), SHA256: sha256.Sum256(content), Content: bytes.NewReader(content), Count: 1}
}

func testRegion(t *testing.T, s *s3test.Server) {
	b := openGateway(t, s, s.Secret, map[string]any{"region": "", "prefix": "region"})
	o := object(t, b, 2)
	var err *destination.Error
	for range 2 { // a server may name its region with the first refusal only
		if _, err = b.Put(t.Context(), o); err == nil {
			break
		}
		if err.Class != destination.Unavailable {
			t.Fatalf("Put without a region: got %v, want it to learn", err)
		}
	}
	if err != nil || b.knownRegion() != s3test.Region {
		t.Errorf("Put without a region: got %v and region %q, want delivered to %q", err, b.knownRegion(), s3test.Region)
	}
}

// lastStage runs a check and returns its stages' names and its last stage.
func lastStage(ctx context.Context, b *Bucket) (names string, last destination.Stage) {
	b.Check(ctx, func(s destination.Stage) { names, last = names+" "+s.Name, s })
	return strings.TrimSpace(names), last
}

func testChecks(t *testing.T, s *s3test.Server) {
	all := openGateway(t, s, s.Secret, map[string]any{"prefix": "all", "region": ""})
	names, last := lastStage(t.Context(), all)
	if names != "resolve connect authenticate accept" || !last.OK || !strings.Contains(last.Message, "read back unchanged; it was deleted, nothing was left") {
		t.Errorf("check with all rights: got stages %q, last %+v", names, last)
	}
	if keys, err := s.Keys(t.Context(), testBucket, "all/"); err != nil || len(keys) != 0 {
		t.Errorf("left behind: got %q, %v, want nothing", keys, err)
	}
	if err := s.MakeUser(t.Context(), testBucket, "put-only", "put-only-secret", "s3:PutObject"); err != nil {
		t.Fatalf("make user: got %v, want nil", err)
	}
	put := openGateway(t, s, "put-only-secret", map[string]any{"prefix": "put-only", "access_key_id": "put-only", "region": ""})
	_, last = lastStage(t.Context(), put)
	keys, err := s.Keys(t.Context(), testBucket, "put-only/")
	if err != nil || len(keys) != 1 || !strings.HasPrefix(keys[0], "put-only/sluice-check/") {
		t.Fatalf("left behind: got %q, %v, want one object", keys, err)
	}
	if !last.OK || !strings.Contains(last.Message, "may not delete it: the object "+keys[0]) {
		t.Errorf("check with PutObject alone: got %+v, want it to name %s", last, keys[0])
	}
	if _, err := put.Put(t.Context(), object(t, put, 3)); err != nil {
		t.Errorf("Put with PutObject alone: got %v, want nil", err)
	}
	if err := s.MakeUser(t.Context(), testBucket, "reader", "reader-secret", "s3:GetObject"); err != nil {
		t.Fatalf("make user: got %v, want nil", err)
	}
	read := openGateway(t, s, "reader-secret", map[string]any{"access_key_id": "reader"})
	names, last = lastStage(t.Context(), read)
	if names != "resolve connect authenticate accept" || last.OK || !strings.Contains(last.Message, "s3:PutObject") {
		t.Errorf("check without PutObject: got stages %q, last %+v, want accept to fail", names, last)
	}
	wrong := openGateway(t, s, "not-the-secret", nil)
	names, last = lastStage(t.Context(), wrong)
	if names != "resolve connect authenticate" || last.OK {
		t.Errorf("check with a wrong secret: got stages %q, last %+v, want authenticate to fail", names, last)
	}
}

func getInput(key string) *s3.GetObjectInput {
	bucket := testBucket
	return &s3.GetObjectInput{Bucket: &bucket, Key: &key}
}
