package webhook

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// Format is how events are put into requests.
type Format string

const (
	// FormatEvent sends one event a request.
	FormatEvent Format = "event"
	// FormatArray sends a JSON array of events.
	FormatArray Format = "array"
	// FormatNDJSON sends events as lines.
	FormatNDJSON Format = "ndjson"
)

// Limits of a configuration.
const (
	maxURL             = 2048 // bytes
	maxHeaderName      = 255  // bytes
	maxHeaderValue     = 2000 // bytes
	maxConcurrency     = 64
	defaultConcurrency = 16
)

// Config is the kind's configuration in canonical form.
type Config struct {
	// URL takes the POST requests: http or https, at most 2,048 bytes, without
	// credentials and fragment.
	URL string `json:"url"`
	// Headers are sent with every request, at most 20.
	Headers []Header `json:"headers"`
	// Format is "event" when it is left out.
	Format Format `json:"format"`
	// Concurrency is how many requests of the format "event" run at once: 1 to
	// 64, 16 when it is left out; 0 for the other formats, which have no use
	// for it. 1 keeps events strictly in order.
	Concurrency int `json:"concurrency,omitempty"`
	// SSLVerify says that the certificate must be valid; true when left out.
	SSLVerify bool `json:"ssl_verify"`
}

// Header is a custom header. One that is not active is kept and not sent.
type Header struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Active bool   `json:"active"` // true when left out
}

func parseConfig(raw json.RawMessage) (Config, error) {
	c := Config{Headers: []Header{}, SSLVerify: true}
	f, err := destination.ReadFields("config", raw, "url", "headers", "format", "concurrency", "ssl_verify")
	if err != nil {
		return c, err
	}
	var headers []json.RawMessage
	format := string(FormatEvent)
	if err := f.ReadAll(destination.Member{Name: "url", Into: &c.URL}, destination.Member{Name: "headers", Into: &headers}, destination.Member{Name: "format", Into: &format},
		destination.Member{Name: "concurrency", Into: &c.Concurrency}, destination.Member{Name: "ssl_verify", Into: &c.SSLVerify}); err != nil {
		return c, err
	}
	c.Format = Format(format)
	c.URL = strings.TrimSpace(c.URL)
	if _, err := parseURL(c.URL); err != nil {
		return c, err
	}
	if err := c.checkFormat(f); err != nil {
		return c, err
	}
	for _, known := range []Format{FormatEvent, FormatArray, FormatNDJSON} {
		if c.Format == known {
			c.Format = known // one string for all streams
		}
	}
	c.Headers, err = parseHeaders(headers)
	return c, err
}

func (c *Config) checkFormat(f destination.Fields) error {
	switch c.Format {
	case FormatArray, FormatNDJSON:
		if f.Has("concurrency") {
			return sluice.Errorf(sluice.Invalid, "config.concurrency is for the format %q only", FormatEvent).
				WithHint("leave it out: batches are sent one after another")
		}
		return nil
	case FormatEvent:
	default:
		return sluice.Errorf(sluice.Invalid, "config.format must be %q, %q or %q", FormatEvent, FormatArray, FormatNDJSON)
	}
	if !f.Has("concurrency") {
		c.Concurrency = defaultConcurrency
	}
	if c.Concurrency < 1 || c.Concurrency > maxConcurrency {
		return sluice.Errorf(sluice.Invalid, "config.concurrency must be 1 to %d", maxConcurrency).
			WithHint("1 keeps events strictly in order")
	}
	return nil
}

func parseURL(raw string) (*url.URL, error) {
	wrong := func(rule, hint string) (*url.URL, error) {
		e := sluice.Errorf(sluice.Invalid, "config.url %s", rule)
		return nil, e.WithHint("%s", hint)
	}
	const example = "for example https://siem.example.com/events"
	if raw == "" {
		return wrong("is required", example)
	}
	if len(raw) > maxURL {
		return wrong("must have at most "+strconv.Itoa(maxURL)+" bytes", "shorten the path or the query")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return wrong("is not a valid URL", example)
	}
	host := u.Hostname()
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return wrong("must start with http:// or https://", example)
	case u.Opaque != "" || host == "":
		return wrong("must name a host", example)
	case u.User != nil:
		return wrong("must not hold a user name or password", "send credentials in a custom header such as Authorization")
	case strings.Contains(raw, "#"):
		return wrong("must not have a fragment (#...)", "leave out the part from # on")
	case strings.IndexFunc(host, notHost) >= 0:
		return wrong("has a host name with characters that are not allowed", "write international names in their xn-- form")
	case u.Port() != "" && !validPort(u.Port()) || strings.HasSuffix(u.Host, ":"):
		return wrong("has a port that is not 1 to 65535", example)
	}
	return u, nil
}

func notHost(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(".-_:", r))
}

func validPort(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n >= 1 && n <= 65535
}

func parseHeaders(list []json.RawMessage) ([]Header, error) {
	out := make([]Header, 0, len(list))
	if len(list) > sluice.MaxStreamHeaders {
		return nil, sluice.Errorf(sluice.Invalid, "config.headers has more than %d headers", sluice.MaxStreamHeaders).
			WithHint("headers that are not active count too: delete those no longer needed")
	}
	seen := map[string]bool{}
	for i, raw := range list {
		path := "config.headers[" + strconv.Itoa(i) + "]"
		h := Header{Active: true}
		f, err := destination.ReadFields(path, raw, "name", "value", "active")
		if err != nil {
			return nil, err
		}
		if err := f.ReadAll(destination.Member{Name: "name", Into: &h.Name}, destination.Member{Name: "value", Into: &h.Value}, destination.Member{Name: "active", Into: &h.Active}); err != nil {
			return nil, err
		}
		if err := h.check(f); err != nil {
			return nil, err
		}
		key := strings.ToLower(h.Name)
		if seen[key] {
			return nil, sluice.Errorf(sluice.Invalid, "%s: the header %s is there twice", f.Path("name"), h.Name).
				WithHint("names are compared without case; join the values with a comma")
		}
		seen[key] = true
		out = append(out, h)
	}
	return out, nil
}

func (h *Header) check(f destination.Fields) error {
	name, value := f.Path("name"), f.Path("value")
	switch {
	case h.Name == "":
		return sluice.Errorf(sluice.Invalid, "%s is required", name)
	case len(h.Name) > maxHeaderName:
		return sluice.Errorf(sluice.Invalid, "%s must have at most %d bytes", name, maxHeaderName)
	case strings.IndexFunc(h.Name, notToken) >= 0:
		return sluice.Errorf(sluice.Invalid, "%s has characters that header names cannot have", name).
			WithHint("letters, digits and !#$%%&'*+-.^_`|~ are allowed")
	case reserved(h.Name):
		return sluice.Errorf(sluice.Invalid, "%s: the header %s cannot be set", name, h.Name).
			WithHint("it is set with each request, or belongs to the connection; choose another name")
	case strings.TrimSpace(h.Value) == "":
		return sluice.Errorf(sluice.Invalid, "%s is required", value)
	case len(h.Value) > maxHeaderValue:
		return sluice.Errorf(sluice.Invalid, "%s must have at most %d bytes", value, maxHeaderValue)
	case !utf8.ValidString(h.Value) || strings.IndexFunc(h.Value, notPrintable) >= 0:
		return sluice.Errorf(sluice.Invalid, "%s must be one line of printable characters", value).
			WithHint("line breaks often come along when a value is pasted")
	}
	return nil
}

func notPrintable(r rune) bool { return !unicode.IsPrint(r) }

// notToken reports whether r cannot be part of a header name (RFC 9110, 5.6.2).
func notToken(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r))
}

// reserved reports whether a header is not for owners: it frames the request,
// belongs to the connection, or proves where the request comes from.
func reserved(name string) bool {
	name = strings.ToLower(name)
	switch name {
	case "host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "keep-alive",
		"x-gitlab-event-streaming-token", "x-gitlab-audit-event-type", "x-sluice-check":
		return true
	}
	return strings.HasPrefix(name, "proxy-") || strings.HasPrefix(name, "webhook-")
}
