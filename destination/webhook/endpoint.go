package webhook

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sluicelog/sluice/destination"
)

// Limits of a batch and of a request.
const (
	// RequestTimeout bounds one request, its answer included.
	RequestTimeout = 30 * time.Second
	// maxEvents bounds a batch of the format "event": it is how far delivery
	// may run ahead of the oldest event under way.
	maxEvents = 256
	// maxLines and maxBytes bound a request of the other formats. Receivers
	// often take 1 MiB and no more.
	maxLines = 1000
	maxBytes = 1 << 20
)

// Endpoint delivers to one URL. It implements [destination.Destination].
type Endpoint struct {
	config    Config
	url       url.URL
	fields    []field // of every request's header
	signers   []signer
	redact    *destination.Redactor
	env       destination.Env
	transport *http.Transport // shared
	release   func()          // gives up the share
}

var _ destination.Destination = (*Endpoint)(nil)

// Limits bounds batches. The timeout of the format "event" is for the case that
// every request of the largest batch takes all of its time: with n at once, one
// [RequestTimeout] for each n events. A receiver that fails ends a Send much
// sooner, because nothing new is started then.
func (e *Endpoint) Limits() destination.Limits {
	if e.config.Format != FormatEvent {
		return destination.Limits{Events: maxLines, Bytes: maxBytes, Timeout: RequestTimeout}
	}
	rounds := (maxEvents + e.config.Concurrency - 1) / e.config.Concurrency
	return destination.Limits{Events: maxEvents, Bytes: maxBytes, Timeout: time.Duration(rounds) * RequestTimeout}
}

// Send delivers the batch. For the formats "array" and "ndjson" one answer
// decides for all events. For the format "event" the result has an outcome for
// each: events that the receiver refuses as such (400, 409, 413, 422) are
// rejected and the others go on, until 20 in a row were refused and none was
// accepted; after any other failure no further request is started, and those
// under way are awaited. Err is then the failure of the lowest index that is no
// refusal, or the first refusal when there is none.
func (e *Endpoint) Send(ctx context.Context, b *destination.Batch) destination.Result {
	if len(b.Events) == 0 {
		return destination.Result{}
	}
	if e.config.Format == FormatEvent {
		return e.sendEach(ctx, b)
	}
	body := lines(b.Events)
	if e.config.Format == FormatArray {
		body = array(b.Events)
	}
	return destination.Result{Err: e.post(ctx, request{id: messageID(b.Events), body: body})}
}

// Format shows the host, and neither headers nor path nor query, which may hold
// secrets.
func (e *Endpoint) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "http "+e.url.Host) }

// Close implements [destination.Destination]. It is called once.
func (e *Endpoint) Close() error {
	e.release()
	return nil
}

func (e *Endpoint) now() time.Time {
	if e.env.Now == nil {
		return time.Now()
	}
	return e.env.Now()
}

var contentTypes = map[Format]string{
	FormatEvent:  "application/x-www-form-urlencoded", // as GitLab sends it, although the body is JSON
	FormatArray:  "application/json",
	FormatNDJSON: "application/x-ndjson",
}

// field is one field of a header; its name is in the canonical form.
type field struct{ name, value string }

// fieldsOf returns the fields that every request has, each name once.
func fieldsOf(c Config, secrets destination.Secrets, env destination.Env) []field {
	h := http.Header{}
	h.Set("User-Agent", "Sluice")
	if env.UserAgent != "" {
		h.Set("User-Agent", env.UserAgent)
	}
	h.Set("Content-Type", contentTypes[c.Format])
	if token := secrets[VerificationToken]; token != "" {
		h.Set("X-Gitlab-Event-Streaming-Token", token)
	}
	for _, custom := range c.Headers {
		if custom.Active {
			h.Set(custom.Name, custom.Value)
		}
	}
	fields := make([]field, 0, len(h)) // much smaller than the map
	for name, values := range h {
		fields = append(fields, field{name, values[0]})
	}
	return fields
}

// redactor knows everything that a receiver may repeat and nobody else may
// read: secrets, header values and the parts of credentials in them, and the
// URL's query.
func redactor(c Config, u *url.URL, secrets destination.Secrets) *destination.Redactor {
	var list []string
	for name, s := range secrets {
		if name != PreviousSigningSecretUntil {
			list = append(list, s, strings.TrimPrefix(s, keyPrefix))
		}
	}
	for _, h := range c.Headers {
		switch strings.ToLower(h.Name) {
		case "content-type", "accept", "user-agent": // their values explain refusals
		default:
			list = append(list, h.Value, strings.TrimSpace(h.Value))
			list = append(list, credentials(h.Value)...)
		}
	}
	return destination.NewRedactor(append(list, queryValues(u.RawQuery)...)...)
}

// queryValues returns what may be a secret in a query, which follows no rule but its
// receiver's: all of it, and each value, as it is written and as it is meant.
func queryValues(raw string) []string {
	list := []string{raw}
	for _, piece := range strings.FieldsFunc(raw, func(r rune) bool { return r == '&' || r == ';' }) {
		name, value, named := strings.Cut(piece, "=")
		if !named {
			value = name
		}
		list = append(list, value)
		if plain, err := url.QueryUnescape(value); err == nil {
			list = append(list, plain)
		}
	}
	return list
}

// credentials returns the parts of a header value that are secrets by
// themselves: TOKEN of "Bearer TOKEN", the pair of "Basic BASE64".
func credentials(value string) []string {
	scheme, rest, found := strings.Cut(strings.TrimSpace(value), " ")
	if !found {
		return nil
	}
	out := []string{strings.TrimSpace(rest)}
	if pair, err := base64.StdEncoding.DecodeString(out[0]); err == nil && strings.EqualFold(scheme, "basic") {
		_, password, _ := strings.Cut(string(pair), ":")
		out = append(out, string(pair), password)
	}
	return out
}
