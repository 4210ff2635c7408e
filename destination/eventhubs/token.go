package eventhubs

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Tokens outlive the sessions that use them, so that no session ends in the
// middle of a delivery because its token did.
const (
	tokenLife   = 2 * time.Hour
	sessionLife = time.Hour
)

// token returns the token to put for a hub: the owner's, or one that is signed
// with the owner's key. Its form is that of
// https://learn.microsoft.com/azure/event-hubs/authenticate-shared-access-signature.
//
// The library could sign by itself, but then it renews in the background, and
// with its retries off it does so without a pause for as long as that fails.
func (c connection) token(hub string, now time.Time) string {
	if c.Signature != "" {
		return c.Signature.Reveal()
	}
	resource := strings.ToLower(url.QueryEscape(c.audience(hub)))
	expiry := strconv.FormatInt(now.Add(tokenLife).Unix(), 10)
	mac := hmac.New(sha256.New, []byte(c.Key.Reveal()))
	fmt.Fprintf(mac, "%s\n%s", resource, expiry)
	sum := base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return fmt.Sprintf("%ssr=%s&sig=%s&se=%s&skn=%s", signaturePrefix, resource, url.QueryEscape(sum), expiry, url.QueryEscape(c.KeyName))
}

// audience is what a token is for.
func (c connection) audience(hub string) string {
	scheme := "amqps"
	if c.emulator {
		scheme = "amqp"
	}
	return scheme + "://" + c.bareHost() + "/" + hub
}

// bareHost returns the host as it stands in a URL.
func (c connection) bareHost() string {
	if strings.Contains(c.Host, ":") {
		return "[" + c.Host + "]"
	}
	return c.Host
}

// clientString is the connection string for the library: the host without its
// port, which would be taken for a part of the name that tokens are for.
func (c connection) clientString(hub string, now time.Time) string {
	s := "Endpoint=sb://" + c.bareHost() + "/;SharedAccessSignature=" + c.token(hub, now)
	if c.emulator {
		s += ";UseDevelopmentEmulator=true"
	}
	return s
}

// signature is what a token says.
type signature struct {
	sig    string // as it is written, and unescaped
	plain  string
	expiry time.Time
}

var errSignature = errors.New("read token: sr, sig, se and skn were expected")

func parseSignature(token string) (signature, error) {
	var s signature
	query, ok := strings.CutPrefix(token, signaturePrefix)
	if !ok {
		return s, errSignature
	}
	values, err := url.ParseQuery(query)
	if err != nil || values.Get("sr") == "" || values.Get("sig") == "" {
		return s, errSignature
	}
	seconds, err := strconv.ParseInt(values.Get("se"), 10, 64)
	if err != nil {
		return s, errSignature
	}
	for piece := range strings.SplitSeq(query, "&") {
		if raw, ok := strings.CutPrefix(piece, "sig="); ok {
			s.sig = raw
		}
	}
	s.plain, s.expiry = values.Get("sig"), time.Unix(seconds, 0)
	return s, nil
}

// secrets are the values that nobody may be shown, in the spellings that are on
// the wire.
func (c connection) secrets(token string) []string {
	list := []string{c.Key.Reveal(), c.Signature.Reveal(), token}
	if s, err := parseSignature(token); err == nil {
		list = append(list, s.sig, s.plain)
	}
	return list
}
