package s3

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// Limits and defaults of a configuration.
const (
	maxPrefix   = 512 // bytes
	maxKeyID    = 128
	maxEndpoint = 2048

	minObjectBytes, defaultObjectBytes, maxObjectBytes       = 64 << 10, 8 << 20, 64 << 20
	minObjectEvents, defaultObjectEvents, maxObjectEvents    = 1, 100_000, 1_000_000
	minObjectSeconds, defaultObjectSeconds, maxObjectSeconds = 1, 60, 3600
)

// firstRegion is asked where a bucket lies; it knows for all of its partition. It
// is also what servers that have no regions take.
const firstRegion = "us-east-1"

// Config is the kind's configuration in canonical form.
type Config struct {
	// Bucket is the bucket's name, not an ARN.
	Bucket string `json:"bucket"`
	// Region is where the bucket lies; it is found out when it is left out.
	Region string `json:"region,omitempty"`
	// AccessKeyID belongs to the secret access key.
	AccessKeyID string `json:"access_key_id"`
	// Prefix goes before the key of every object, with a slash between; it has
	// none at its ends.
	Prefix string `json:"prefix,omitempty"`
	// Endpoint is the URL of a server other than Amazon's.
	Endpoint string `json:"endpoint,omitempty"`
	// ForcePathStyle puts the bucket into the path of URLs instead of the host;
	// true when it is left out and there is an endpoint.
	ForcePathStyle bool `json:"force_path_style"`
	// ObjectBytes, ObjectEvents and ObjectSeconds say when an object is complete:
	// its compressed size, its events, or the age of its first event, whichever
	// comes first. 8 MiB, 100,000 and 60 when they are left out.
	ObjectBytes   int `json:"object_bytes"`
	ObjectEvents  int `json:"object_events"`
	ObjectSeconds int `json:"object_seconds"`
}

var (
	bucketForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$`)
	regionForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$`)
	// sessionKey is how Amazon's temporary keys look
	// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html).
	sessionKey = regexp.MustCompile(`^ASIA[A-Z0-9]{12,}$`)
	keyIDForm  = regexp.MustCompile(`^[A-Za-z0-9._+=@-]+$`)
)

func parseConfig(raw json.RawMessage) (Config, error) {
	c := Config{ObjectBytes: defaultObjectBytes, ObjectEvents: defaultObjectEvents, ObjectSeconds: defaultObjectSeconds}
	f, err := destination.ReadFields("config", raw, "bucket", "region", "access_key_id", "prefix", "endpoint", "force_path_style",
		"object_bytes", "object_events", "object_seconds")
	if err != nil {
		return c, err
	}
	if err := f.ReadAll(destination.Member{Name: "bucket", Into: &c.Bucket}, destination.Member{Name: "region", Into: &c.Region},
		destination.Member{Name: "access_key_id", Into: &c.AccessKeyID}, destination.Member{Name: "prefix", Into: &c.Prefix},
		destination.Member{Name: "endpoint", Into: &c.Endpoint}, destination.Member{Name: "force_path_style", Into: &c.ForcePathStyle},
		destination.Member{Name: "object_bytes", Into: &c.ObjectBytes}, destination.Member{Name: "object_events", Into: &c.ObjectEvents},
		destination.Member{Name: "object_seconds", Into: &c.ObjectSeconds}); err != nil {
		return c, err
	}
	for _, s := range []*string{&c.Bucket, &c.Region, &c.AccessKeyID, &c.Prefix, &c.Endpoint} {
		*s = strings.TrimSpace(*s)
	}
	end := func(r rune) bool { return r == '/' || unicode.IsSpace(r) }
	c.Prefix, c.Endpoint = strings.TrimFunc(c.Prefix, end), strings.TrimRightFunc(c.Endpoint, end)
	if c.Endpoint != "" && !f.Has("force_path_style") {
		c.ForcePathStyle = true
	}
	return c, c.check()
}

func (c *Config) check() error {
	if err := c.checkNames(); err != nil {
		return err
	}
	if err := checkPrefix(c.Prefix); err != nil {
		return err
	}
	if _, err := parseEndpoint(c.Endpoint); err != nil {
		return err
	}
	for _, n := range []struct {
		name             string
		value, low, high int
	}{
		{"object_bytes", c.ObjectBytes, minObjectBytes, maxObjectBytes},
		{"object_events", c.ObjectEvents, minObjectEvents, maxObjectEvents},
		{"object_seconds", c.ObjectSeconds, minObjectSeconds, maxObjectSeconds},
	} {
		if n.value < n.low || n.value > n.high {
			return sluice.Errorf(sluice.Invalid, "config.%s must be %d to %d", n.name, n.low, n.high)
		}
	}
	return nil
}

func (c *Config) checkNames() error {
	switch {
	case c.Bucket == "":
		return sluice.Errorf(sluice.Invalid, "config.bucket is required").WithHint("for example auditlog-streaming-test")
	case !bucketForm.MatchString(c.Bucket):
		return sluice.Errorf(sluice.Invalid, "config.bucket is not the name of a bucket").
			WithHint("3 to 63 letters, digits, dots and hyphens; not an ARN or a URL")
	case c.Region != "" && !regionForm.MatchString(c.Region):
		return sluice.Errorf(sluice.Invalid, "config.region is not the name of a region").
			WithHint("for example eu-central-1; leave it out to have it found out")
	case c.AccessKeyID == "":
		return sluice.Errorf(sluice.Invalid, "config.access_key_id is required").WithHint("for example AKIAIOSFODNN7EXAMPLE")
	case sessionKey.MatchString(c.AccessKeyID):
		return sluice.Errorf(sluice.Invalid, "config.access_key_id is one of a session, which ends within hours and needs a session token as well").
			WithHint("create an access key (AKIA...) for an IAM user that may put objects into the bucket")
	case len(c.AccessKeyID) > maxKeyID || !keyIDForm.MatchString(c.AccessKeyID):
		return sluice.Errorf(sluice.Invalid, "config.access_key_id is not the id of an access key").
			WithHint("for example AKIAIOSFODNN7EXAMPLE; the secret access key is a secret of its own")
	}
	return nil
}

func checkPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	wrong := sluice.Errorf(sluice.Invalid, "config.prefix must be at most %d bytes of text with single slashes between names", maxPrefix).
		WithHint("for example audit/acme")
	if len(prefix) > maxPrefix || !utf8.ValidString(prefix) || strings.ContainsFunc(prefix, unicode.IsControl) {
		return wrong
	}
	for name := range strings.SplitSeq(prefix, "/") {
		if name == "" || name == "." || name == ".." {
			return wrong
		}
	}
	return nil
}

// parseEndpoint returns nil for no endpoint.
func parseEndpoint(raw string) (*url.URL, error) {
	if raw == "" {
		return nil, nil
	}
	u, err := url.Parse(raw)
	if err != nil || len(raw) > maxEndpoint || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.Opaque != "" ||
		u.User != nil || u.RawQuery != "" || strings.ContainsAny(raw, "#?") {
		return nil, sluice.Errorf(sluice.Invalid, "config.endpoint must be the URL of a server, without user name, query and fragment").
			WithHint("for example https://s3.example.com; leave it out for Amazon S3")
	}
	return u, nil
}

// checkScheme insists on https unless the operator's rules do not.
func (c *Config) checkScheme(rules destination.Rules) error {
	u, err := parseEndpoint(c.Endpoint)
	if err != nil {
		return err
	}
	if u != nil && u.Scheme != "https" && !rules.AllowInsecure { // as the client reads it: HTTP:// is http, too
		return sluice.Errorf(sluice.Invalid, "config.endpoint must start with https://").
			WithHint("the operator can allow http with --allow-private-destinations")
	}
	return nil
}

// guess returns the region to begin with.
func (c *Config) guess() string {
	if c.Region != "" {
		return c.Region
	}
	return firstRegion
}

// address returns the URL of the bucket in a region.
func (c *Config) address(region string) (*url.URL, error) {
	p := s3.EndpointParameters{Bucket: &c.Bucket, Region: &region, ForcePathStyle: &c.ForcePathStyle}
	if c.Endpoint != "" {
		p.Endpoint = &c.Endpoint
	}
	e, err := s3.NewDefaultEndpointResolverV2().ResolveEndpoint(context.Background(), p.WithDefaults())
	if err != nil {
		return nil, fmt.Errorf("find the address of bucket %q in region %q: %w", c.Bucket, region, err)
	}
	return &e.URI, nil
}

func (c *Config) age() time.Duration { return time.Duration(c.ObjectSeconds) * time.Second }
