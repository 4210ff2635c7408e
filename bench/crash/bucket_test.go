package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/klauspost/compress/gzip"

	"github.com/sluicelog/sluice/destination/s3/s3test"
)

// building is held while an S3 server is started: the first one is built.
var building sync.Mutex

const bucketName = "crash"

// fillBucket delivers to a bucket.
func fillBucket(w *world) {
	w.create(w.bucket("to a bucket", "acme"))
	for range 3 {
		w.post(post{count: 40})
		time.Sleep(700 * time.Millisecond) // an object is closed after a second
	}
}

// bucket makes a stream to a bucket of a server of its own.
func (w *world) bucket(name, namespace string) *stream {
	w.Helper()
	building.Lock()
	server := s3test.Run(w.T)
	building.Unlock()
	if err := server.MakeBucket(w.Context(), bucketName); err != nil {
		w.Fatal(err)
	}
	s := newStream(w, name, namespace)
	s.once = true
	s.spec.Kind = "s3"
	s.spec.Config = json.RawMessage(fmt.Sprintf(`{"bucket":%q,"region":%q,"access_key_id":%q,"prefix":"crash","endpoint":%q,"object_seconds":1}`,
		bucketName, s3test.Region, server.AccessKeyID, server.URL))
	s.spec.Secrets = map[string]string{"secret_access_key": server.Secret}
	known := map[string]bool{}
	s.refresh = func(ctx context.Context) error {
		keys, err := server.Keys(ctx, bucketName, "")
		if err != nil {
			return err
		}
		for _, key := range keys {
			if known[key] || strings.HasPrefix(key, "crash/sluice-check/") {
				continue
			}
			content, err := object(ctx, server, key)
			if err != nil {
				return err
			}
			for _, line := range lines(content) {
				s.take(line)
			}
			known[key] = true
		}
		return nil
	}
	return s
}

// object reads an object.
func object(ctx context.Context, server *s3test.Server, key string) ([]byte, error) {
	bucket := bucketName
	o, err := server.Client().GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return nil, err
	}
	defer o.Body.Close()
	zip, err := gzip.NewReader(o.Body)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(zip)
}
