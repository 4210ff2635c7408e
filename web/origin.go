package web

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
)

// Origin is where browsers reach a server: a scheme, a host and perhaps a port.
// The zero Origin is not known.
type Origin struct{ scheme, host string }

// ParseOrigin reads an address such as https://sluice.example.com. Everything is
// served at fixed paths, so that it has none.
func ParseOrigin(text string) (Origin, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.ContainsAny(u.Host, " *") {
		return Origin{}, errors.New("must be an address such as https://sluice.example.com")
	}
	if _, err := strconv.ParseUint(u.Port(), 10, 16); u.Port() != "" && err != nil {
		return Origin{}, errors.New("has no valid port")
	}
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery {
		return Origin{}, errors.New("must not have a path: the pages are at /-/ and the APIs at /api/ of the host")
	}
	host := strings.ToLower(strings.TrimSuffix(u.Host, ":"))
	// Browsers leave out the port that the scheme has anyway.
	if port := map[string]string{"http": ":80", "https": ":443"}[u.Scheme]; strings.HasSuffix(host, port) {
		host = strings.TrimSuffix(host, port)
	}
	return Origin{u.Scheme, host}, nil
}

// String returns the origin as browsers write it, "" when it is not known.
func (o Origin) String() string {
	if o == (Origin{}) {
		return ""
	}
	return o.scheme + "://" + o.host
}
