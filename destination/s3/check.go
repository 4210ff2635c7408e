package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/sluicelog/sluice/destination"
)

// checkFolder is where test objects lie, below the prefix.
const checkFolder = "sluice-check/"

// Check implements [destination.Destination]. After the host was looked up and
// connected to, a small marked object is stored under a key of its own, as a
// delivery would be, then read back and deleted as far as the rights allow; the
// right to put objects is enough. The last message says what was left behind.
func (b *Bucket) Check(ctx context.Context, stage func(destination.Stage)) bool {
	u, err := b.config.address(b.guess())
	if err != nil {
		stage(destination.Stage{Name: "resolve", Message: "the bucket has no address: check bucket, region and endpoint"})
		return false
	}
	c := &check{bucket: b, probe: destination.Probe{Dialer: b.env.Dialer, Host: u.Hostname(), Port: u.Port()}}
	if u.Scheme == "https" {
		c.probe.TLS = &destination.TLSOptions{}
	}
	if c.probe.Port == "" {
		c.probe.Port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	defer c.probe.Close()
	return destination.RunSteps(ctx, stage, append(c.probe.Steps(),
		destination.Step{Name: "authenticate", Run: c.authenticate, Hang: "the connection stands, but nobody answers when a small object is put: " +
			"check that the endpoint is that of an S3 server, and whether it, or a proxy that holds uploads back, is stuck"},
		destination.Step{Name: "accept", Run: c.accept})...)
}

func (b *Bucket) guess() string {
	if r := b.knownRegion(); r != "" {
		return r
	}
	return b.config.guess()
}

// check is a check under way.
type check struct {
	bucket *Bucket
	probe  destination.Probe

	object  *destination.Object
	content []byte
	refused *destination.Error // why the object was not stored
}

// authenticate stores the object; the next stage tells the rest of the outcome.
func (c *check) authenticate(ctx context.Context) (string, *destination.Error) {
	c.probe.Close() // a server may serve one connection at a time
	b := c.bucket
	c.object, c.content = testObject(b)
	var tried attempt
	for range 3 { // an answer may teach the region, and that conditions are not known
		region, unconditional := b.knownRegion(), b.unconditional.Load()
		tried, c.refused = b.put(ctx, c.object)
		if c.refused == nil || region == b.knownRegion() && unconditional == b.unconditional.Load() {
			break
		}
	}
	if c.refused != nil && !slices.Contains(identified, tried.code) {
		return "", c.refused
	}
	return fmt.Sprintf("the access key %s was accepted in the region %s", b.config.AccessKeyID, b.guess()), nil
}

// identified are the codes of refusals by a far side that knew who asked.
var identified = []string{"AccessDenied", "AllAccessDisabled", "NoSuchBucket", "InvalidRequest", "MethodNotAllowed", codeEntityTooLarge}

func (c *check) accept(ctx context.Context) (string, *destination.Error) {
	if c.refused != nil {
		return "", c.refused
	}
	words := "a test object was stored"
	if c.bucket.unconditional.Load() {
		words += ", without a condition, which the server does not know: see the page about this kind for what that means"
	}
	back, err := c.readBack(ctx)
	if err != nil {
		return "", err
	}
	return words + "; " + back + "; " + c.remove(ctx), nil
}

// readBack compares what the bucket holds now, when it may be read.
func (c *check) readBack(ctx context.Context) (string, *destination.Error) {
	ctx, cancel := context.WithTimeout(ctx, destination.StageTimeout)
	defer cancel()
	b := c.bucket
	x := b.get(ctx, b.guess(), c.object.Key)
	switch {
	case x.err != nil:
		return "it could not be read back: " + destination.Classify(x.err).Message, nil
	case x.status == http.StatusOK && bytes.Equal(x.body, c.content):
		return "it was read back unchanged", nil
	case x.status == http.StatusOK, x.status == http.StatusNotFound:
		return "", &destination.Error{Class: destination.Misconfigured, Status: x.status,
			Message: "the server said that it had stored a test object, but does not give it back as it was: check the endpoint; it is " + c.object.Key}
	}
	return "the access key may not read it back, which is fine", nil
}

// remove deletes the test object, when it may be deleted, and says what is left.
func (c *check) remove(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, destination.StageTimeout)
	defer cancel()
	b := c.bucket
	x := call(ctx, nil, func(ctx context.Context) error {
		_, err := b.client(b.guess()).DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.config.Bucket, Key: &c.object.Key})
		return err
	})
	left := fmt.Sprintf("the object %s (%d bytes)", c.object.Key, c.object.Size)
	switch {
	case x.err == nil && x.delivered() && x.header.Get("X-Amz-Delete-Marker") == "true":
		return "it was deleted; because the bucket keeps versions, a version of " + left + " and a delete marker stay"
	case x.err == nil && x.delivered():
		return "it was deleted, nothing was left behind"
	case x.err != nil || b.judge(x).Class == destination.Unavailable:
		return "it could not be deleted just now: " + left + " was left behind"
	}
	return "the access key may not delete it: " + left + " was left behind"
}

// testObject is an object of one test event, with a key and an id of its own.
func testObject(b *Bucket) (*destination.Object, []byte) {
	now := b.now().UTC()
	event := destination.MarkedEvent(now, b.env.Namespace, "this bucket")
	id := string(event.ID)
	var content bytes.Buffer
	enc := newEncoder(&content)
	_, _ = enc.Add(&event), enc.Close() // a buffer takes all
	return &destination.Object{
		Key:  b.key(checkFolder + now.Format("20060102T150405Z-") + id + ".json.log.gz"),
		Size: int64(content.Len()), SHA256: sha256.Sum256(content.Bytes()), Content: bytes.NewReader(content.Bytes()),
		FirstID: id, LastID: id, Count: 1,
	}, content.Bytes()
}
