package s3

import (
	"context"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/sluicelog/sluice/destination"
)

// findRegion returns the bucket's region: the configured one, or what was found
// out before, or what an answer to HEAD says now. Amazon names the region with
// every status but 404. A server that names none has no regions.
func (b *Bucket) findRegion(ctx context.Context) (string, *destination.Error) {
	if r := b.knownRegion(); r != "" {
		return r, nil
	}
	x := call(ctx, nil, func(ctx context.Context) error {
		_, err := b.client(firstRegion).HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &b.config.Bucket})
		return err
	})
	if x.err != nil {
		return "", destination.Classify(x.err)
	}
	if r := x.regionTold(); r != "" {
		b.setRegion(r)
		return r, nil
	}
	if x.status == http.StatusNotFound {
		x.body = []byte("<Error><Code>NoSuchBucket</Code></Error>") // an answer to HEAD has no body
	}
	if err := b.judge(x); err != nil && (err.Class == destination.Unavailable || x.status == http.StatusNotFound) {
		return "", err
	}
	// The answer to HEAD has no body; one that has may name the region in it.
	if r := b.get(ctx, firstRegion, b.key(checkFolder)).regionTold(); x.status != http.StatusOK && r != "" {
		b.setRegion(r)
		return r, nil
	}
	b.setRegion(firstRegion)
	return firstRegion, nil
}

// get is a GetObject.
func (b *Bucket) get(ctx context.Context, region, key string) *exchange {
	return call(ctx, nil, func(ctx context.Context) error {
		_, err := b.client(region).GetObject(ctx, &s3.GetObjectInput{Bucket: &b.config.Bucket, Key: &key})
		return err
	})
}

func (b *Bucket) knownRegion() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.region
}

func (b *Bucket) setRegion(r string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.region = r
}
