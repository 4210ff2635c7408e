package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/sluicelog/sluice/destination"
)

// Limits of a Send, which serves single events.
const (
	maxEvents = 1000
	maxBytes  = 1 << 20
)

// The time that a try may take: some for the answer, and some for the bytes, so
// that a line of half a megabit a second is fast enough.
const (
	answerTime    = 45 * time.Second
	bytesASecond  = 64 << 10
	contentType   = "application/gzip"
	maxMetaLength = 255 // bytes of an id in the metadata, which may have 2 KB in all
)

// Bucket stores objects in one bucket. It implements [destination.ObjectStore].
type Bucket struct {
	config Config
	secret string
	env    destination.Env
	redact *destination.Redactor
	caller *caller

	// unconditional: the server does not know If-None-Match.
	unconditional atomic.Bool
	// damaged counts answers in a row that say that the bytes changed on the way.
	damaged atomic.Int32

	mu     sync.Mutex
	region string // "" while it is to be found out
}

var _ destination.ObjectStore = (*Bucket)(nil)

// Limits implements [destination.Destination]. The timeout is that of the largest
// object there can be: one may be waiting that was built before object_bytes became
// smaller. A Put of less ends sooner.
func (b *Bucket) Limits() destination.Limits {
	// What the compressor holds when the limit is reached comes on top, and the
	// last event.
	return destination.Limits{Events: maxEvents, Bytes: maxBytes, Timeout: timeout(2 * maxObjectBytes)}
}

func timeout(size int64) time.Duration {
	return answerTime + time.Duration(size/bytesASecond)*time.Second
}

// ObjectLimits returns the configured limits.
func (b *Bucket) ObjectLimits() destination.ObjectLimits {
	return destination.ObjectLimits{Bytes: int64(b.config.ObjectBytes), Events: b.config.ObjectEvents, Age: b.config.age()}
}

// Key returns PREFIX/YYYY/MM/DD/HH/MM/LOG-STREAM-PARTITION-FIRST-LAST.json.log.gz,
// where the time is the minute of the first event's acceptance in UTC. The numbers
// have twenty digits, so that the names of a stream sort as its events. A variant
// comes as -VARIANT behind LAST.
func (b *Bucket) Key(n destination.ObjectName) string {
	variant := n.Variant
	if variant != "" {
		variant = "-" + variant
	}
	return b.key(n.Accepted.UTC().Format("2006/01/02/15/04/") +
		fmt.Sprintf("%s-%d-%s-%020d-%020d%s.json.log.gz", n.Log, n.Stream, n.Partition, n.First, n.Last, variant))
}

func (b *Bucket) key(name string) string {
	if b.config.Prefix == "" {
		return name
	}
	return b.config.Prefix + "/" + name
}

// Put implements [destination.ObjectStore]. The answer 412 means that the object
// is there.
func (b *Bucket) Put(ctx context.Context, o *destination.Object) (existed bool, err *destination.Error) {
	a, err := b.put(ctx, o)
	if err != nil && err.Class == destination.RejectedBatch {
		err.Class = destination.Misconfigured // there is no smaller object to try
	}
	return a.existed, err
}

// Send stores the batch as an object of its own. Its key is made of the ids of
// the events as well, because a batch can be any selection of a range.
func (b *Bucket) Send(ctx context.Context, batch *destination.Batch) destination.Result {
	if len(batch.Events) == 0 {
		return destination.Result{}
	}
	first, last := &batch.Events[0], &batch.Events[len(batch.Events)-1]
	ids := sha256.New()
	var content bytes.Buffer
	enc := newEncoder(&content)
	for i := range batch.Events {
		e := &batch.Events[i]
		_, _ = fmt.Fprintf(ids, "%d:%s,", len(e.ID), e.ID) // a hash does not fail
		if err := enc.Add(e); err != nil {
			return destination.Result{Err: destination.Classify(err)}
		}
	}
	if err := enc.Close(); err != nil {
		return destination.Result{Err: destination.Classify(err)}
	}
	name := destination.ObjectName{Log: "single-" + hex.EncodeToString(ids.Sum(nil)[:8]), Stream: batch.Stream, Partition: batch.Partition,
		First: first.Seq, Last: last.Seq, Accepted: first.Accepted}
	_, err := b.put(ctx, &destination.Object{
		Key: b.Key(name), Size: int64(content.Len()), SHA256: sha256.Sum256(content.Bytes()), Content: bytes.NewReader(content.Bytes()),
		FirstID: string(first.ID), LastID: string(last.ID), Count: len(batch.Events),
	})
	return destination.Result{Err: err}
}

// attempt is what else is known of a PutObject.
type attempt struct {
	existed bool   // the object was there
	code    string // the error code of the answer, "" for none
}

// put is one PutObject. Without an error the object is there.
func (b *Bucket) put(ctx context.Context, o *destination.Object) (attempt, *destination.Error) {
	ctx, cancel := context.WithTimeout(ctx, timeout(o.Size))
	defer cancel()
	region, err := b.findRegion(ctx)
	if err != nil {
		err.NothingStored = true // nothing was put yet
		return attempt{}, err
	}
	conditional := !b.unconditional.Load()
	content := io.NewSectionReader(o.Content, 0, o.Size)
	in := &s3.PutObjectInput{
		Bucket: &b.config.Bucket, Key: &o.Key, Body: content, ContentLength: &o.Size,
		ContentType: aws.String(contentType), ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(o.SHA256[:])),
		Metadata: metadata(o),
	}
	if conditional {
		in.IfNoneMatch = aws.String("*")
	}
	x := call(ctx, content, func(ctx context.Context) error {
		_, err := b.client(region).PutObject(ctx, in)
		return err
	})
	a, _ := x.answer()
	outcome := b.outcome(x, region, conditional)
	if outcome != nil {
		outcome.NothingStored = x.nothingStored()
	}
	return attempt{existed: outcome == nil && !x.delivered(), code: a.Code}, outcome
}

// metadata is what an object says about itself.
func metadata(o *destination.Object) map[string]string {
	m := map[string]string{"sluice-count": strconv.Itoa(o.Count), "sluice-sha256": hex.EncodeToString(o.SHA256[:])}
	for name, id := range map[string]string{"sluice-first-id": o.FirstID, "sluice-last-id": o.LastID} {
		if id = url.PathEscape(id); id != "" && len(id) <= maxMetaLength {
			m[name] = id
		}
	}
	return m
}

// Close implements [destination.Destination]. It is called once.
func (b *Bucket) Close() error {
	b.caller.transport.CloseIdleConnections()
	return nil
}

func (b *Bucket) now() time.Time {
	if b.env.Now == nil {
		return time.Now()
	}
	return b.env.Now()
}

// host names the far side in messages.
func (b *Bucket) host() string {
	if b.config.Endpoint == "" {
		return "Amazon S3"
	}
	return strings.TrimPrefix(strings.TrimPrefix(b.config.Endpoint, "https://"), "http://")
}
