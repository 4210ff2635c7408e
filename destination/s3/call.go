package s3

import (
	"bytes"
	"context"
	"encoding/xml"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/sluicelog/sluice/destination"
)

const (
	// maxAnswer is how much of an answer is read. A connection that has more to
	// say is closed.
	maxAnswer = 64 << 10
	// answerTimeout is how long the rest of an answer is waited for once its
	// status is known.
	answerTimeout = 2 * time.Second
	// continueFrom is the size from which on a server is asked whether it takes
	// an object before the content is sent.
	continueFrom = 256 << 10
)

// exchange is one request with its answer, as it was on the wire.
type exchange struct {
	// content is the request's body, for the case that an idle connection turns
	// out to be closed before the first byte is written. Nil for none.
	content *io.SectionReader

	status int // 0 when there was no answer
	header http.Header
	body   []byte // its beginning
	whole  bool   // that is all of it
	err    error  // why there was no answer
}

type exchangeKey struct{}

// caller is what the SDK sends requests through. It bounds answers in size and
// time and notes them in the exchange that the context carries, for us to judge.
type caller struct {
	transport *http.Transport
	userAgent string
}

var _ s3.HTTPClient = (*caller)(nil)

// Do implements the SDK's HTTPClient. Redirects are answers like others.
func (c *caller) Do(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(req.Context())
	defer cancel()
	x, ok := ctx.Value(exchangeKey{}).(*exchange)
	if !ok {
		x = &exchange{}
	}
	req = req.WithContext(ctx)
	if c.userAgent != "" {
		req.Header.Set("User-Agent", c.userAgent) // not a part of what is signed
	}
	if content := x.content; content != nil {
		req.GetBody = func() (io.ReadCloser, error) {
			return io.NopCloser(io.NewSectionReader(content, 0, content.Size())), nil
		}
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		x.err = err
		return nil, err
	}
	x.status, x.header = resp.StatusCode, resp.Header
	x.body, x.whole = destination.ReadAnswer(resp, maxAnswer, answerTimeout, cancel)
	// The SDK gets no body to understand: it would take a strange one for a
	// failed request.
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(nil)), 0
	return resp, nil
}

// answer is the body of a failure (Amazon S3 API Reference, "Error responses").
type answer struct {
	Code, Message, Region string
	whole                 bool // it came to its end
}

// answer reads the body, as far as it came; ok is false when it is not that of a
// failure.
func (x *exchange) answer() (a answer, ok bool) {
	dec := xml.NewDecoder(bytes.NewReader(x.body))
	var path []string
	for {
		token, err := dec.Token()
		if err != nil {
			return a, a.Code != ""
		}
		switch t := token.(type) {
		case xml.StartElement:
			if path = append(path, t.Name.Local); path[0] != "Error" {
				return a, false
			}
		case xml.EndElement:
			path = path[:len(path)-1]
			a.whole = len(path) == 0
		case xml.CharData:
			a.note(path, strings.TrimSpace(string(t)))
		}
	}
}

// note takes up a text of the body.
func (a *answer) note(path []string, text string) {
	if len(path) != 2 {
		return
	}
	switch path[1] {
	case "Code":
		a.Code += text
	case "Message":
		a.Message += text
	case "Region":
		a.Region += text
	}
}

// delivered reports whether the answer is an acceptance. Amazon warns that a
// failure can come with 200, told by its body.
func (x *exchange) delivered() bool {
	_, failure := x.answer()
	return x.status >= 200 && x.status <= 299 && !failure
}

// bare reports whether the body is no failure's and holds something else, and the
// header not the tag that every stored object has.
func (x *exchange) bare() bool {
	_, failure := x.answer()
	return !failure && x.header.Get("Etag") == "" && (!x.whole || len(bytes.TrimSpace(x.body)) > 0)
}

// nothingStored reports whether it is beyond doubt that nothing was stored: it
// was never sent, or the bucket's server refused it as the client's mistake, in
// its own words: a whole body of a failure. Without that, something in between may
// have answered, even after the object was stored. The statuses and codes left out
// are about time, about the way here, or about what another request does to the
// object: of an earlier try of ours, for example.
func (x *exchange) nothingStored() bool {
	if x.err != nil {
		return destination.NotSent(x.err)
	}
	a, known := x.answer()
	if v, listed := verdicts[a.Code]; !known || !a.whole || listed && v.class == destination.Unavailable {
		return false
	}
	switch x.status {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusPreconditionFailed, http.StatusTooEarly,
		http.StatusTooManyRequests, statusClientClosed:
		return false
	case http.StatusNotImplemented:
		return a.Code == codeNotImplemented
	}
	return x.status >= 300 && x.status <= 499
}

// statusClientClosed is what nginx notes when the client went away.
const statusClientClosed = 499

// regionTold returns the region that an answer names for the bucket, "" for none.
func (x *exchange) regionTold() string {
	r := x.header.Get("X-Amz-Bucket-Region")
	if r == "" {
		a, _ := x.answer()
		r = a.Region
	}
	if !regionForm.MatchString(r) {
		return ""
	}
	return r
}

// call runs one operation of the SDK and returns what was on the wire. The error
// of the SDK counts only when it kept the request from being sent.
func call(ctx context.Context, content *io.SectionReader, operation func(context.Context) error) *exchange {
	x := &exchange{content: content}
	err := operation(context.WithValue(ctx, exchangeKey{}, x))
	if x.status == 0 && x.err == nil {
		x.err = err
	}
	return x
}

// client returns a client of the SDK for a region, made of explicit options only.
func (b *Bucket) client(region string) *s3.Client {
	o := s3.Options{
		Region: region,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: b.config.AccessKeyID, SecretAccessKey: b.secret, Source: "sluice"}, nil
		}),
		HTTPClient:                   b.caller,
		RetryMaxAttempts:             1,
		Retryer:                      aws.NopRetryer{},
		UsePathStyle:                 b.config.ForcePathStyle,
		ContinueHeaderThresholdBytes: continueFrom,
		RequestChecksumCalculation:   aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation:   aws.ResponseChecksumValidationWhenRequired,
		DisableS3ExpressSessionAuth:  aws.Bool(true),
	}
	if b.config.Endpoint != "" {
		o.BaseEndpoint = aws.String(b.config.Endpoint)
	}
	return s3.New(o)
}
