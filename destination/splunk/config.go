package splunk

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// Ack says what becomes of indexer acknowledgement, the collector's word that an
// event is indexed and not only queued in memory.
type Ack string

const (
	// AckAuto waits for it when the token has it.
	AckAuto Ack = "auto"
	// AckRequire holds the stream when the token does not have it.
	AckRequire Ack = "require"
	// AckOff counts what was accepted as delivered.
	AckOff Ack = "off"
)

// Token is the name of the secret: an HEC token.
const Token = "token"

const (
	defaultPort = 8088
	defaultPath = "/services/collector/event"

	maxDomain = 253  // characters of a name in DNS
	maxPath   = 1024 // bytes
	maxField  = 255  // bytes of index, source and sourcetype
	minToken  = 4    // shorter ones cannot be taken out of what a receiver repeats
	maxToken  = 512
)

// Config is the kind's configuration in canonical form.
type Config struct {
	// Domain is the host's name or address, without scheme, port and path.
	Domain string `json:"domain"`
	// Port is 8088 when it is left out. Splunk Cloud mostly uses 443.
	Port int `json:"port"`
	// SSLVerify says that the certificate must be valid; true when left out.
	// Requests are encrypted either way.
	SSLVerify bool `json:"ssl_verify"`
	// Path takes the events: "/services/collector/event" when it is left out.
	Path string `json:"path"`
	// Index, Source and SourceType go with each event; what is empty is the
	// token's choice.
	Index      string `json:"index,omitempty"`
	Source     string `json:"source,omitempty"`
	SourceType string `json:"sourcetype,omitempty"`
	// IndexerAck is "auto" when it is left out.
	IndexerAck Ack `json:"indexer_ack"`
}

func parseConfig(raw json.RawMessage) (Config, error) {
	c := Config{Port: defaultPort, SSLVerify: true, Path: defaultPath}
	f, err := destination.ReadFields("config", raw, "domain", "port", "ssl_verify", "path", "index", "source", "sourcetype", "indexer_ack")
	if err != nil {
		return c, err
	}
	ack := string(AckAuto)
	if err := f.ReadAll(destination.Member{Name: "domain", Into: &c.Domain}, destination.Member{Name: "port", Into: &c.Port},
		destination.Member{Name: "ssl_verify", Into: &c.SSLVerify}, destination.Member{Name: "path", Into: &c.Path},
		destination.Member{Name: "index", Into: &c.Index}, destination.Member{Name: "source", Into: &c.Source},
		destination.Member{Name: "sourcetype", Into: &c.SourceType}, destination.Member{Name: "indexer_ack", Into: &ack}); err != nil {
		return c, err
	}
	c.IndexerAck = Ack(ack)
	for _, s := range []*string{&c.Domain, &c.Path, &c.Index, &c.Source, &c.SourceType} {
		*s = strings.TrimSpace(*s)
	}
	if c.Path == "" {
		c.Path = defaultPath
	}
	return c, c.check()
}

func (c *Config) check() error {
	if err := c.checkDomain(); err != nil {
		return err
	}
	if c.Port < 1 || c.Port > 65535 {
		return sluice.Errorf(sluice.Invalid, "config.port must be 1 to 65535").
			WithHint("Splunk Cloud mostly uses 443, its free trial and Splunk Enterprise 8088")
	}
	if err := c.checkPath(); err != nil {
		return err
	}
	for _, f := range []struct{ name, value string }{{"index", c.Index}, {"source", c.Source}, {"sourcetype", c.SourceType}} {
		if len(f.value) > maxField || !utf8.ValidString(f.value) || strings.IndexFunc(f.value, notPrintable) >= 0 {
			return sluice.Errorf(sluice.Invalid, "config.%s must be one line of at most %d bytes", f.name, maxField)
		}
	}
	switch c.IndexerAck {
	case AckAuto, AckRequire, AckOff:
		return nil
	}
	return sluice.Errorf(sluice.Invalid, "config.indexer_ack must be %q, %q or %q", AckAuto, AckRequire, AckOff)
}

func (c *Config) checkDomain() error {
	const example = "for example http-inputs-mycompany.splunkcloud.com"
	if inner, found := strings.CutPrefix(c.Domain, "["); found {
		c.Domain = strings.TrimSuffix(inner, "]")
	}
	_, err := netip.ParseAddr(c.Domain)
	switch d := c.Domain; {
	case d == "":
		return sluice.Errorf(sluice.Invalid, "config.domain is required").WithHint(example)
	case len(d) > maxDomain:
		return sluice.Errorf(sluice.Invalid, "config.domain must have at most %d characters", maxDomain).WithHint(example)
	case strings.ContainsAny(d, "/?#@"):
		return sluice.Errorf(sluice.Invalid, "config.domain must be a host name without https:// and without a path").WithHint(example)
	case err == nil && !strings.Contains(d, "%"):
		return nil // an address
	case strings.Contains(d, ":"):
		return sluice.Errorf(sluice.Invalid, "config.domain must not have a port").WithHint("enter the port in config.port")
	case strings.IndexFunc(d, notName) >= 0:
		return sluice.Errorf(sluice.Invalid, "config.domain has characters that host names cannot have").
			WithHint("write international names in their xn-- form")
	}
	return nil
}

func (c *Config) checkPath() error {
	wrong := func(rule, hint string) error {
		return sluice.Errorf(sluice.Invalid, "config.path %s", rule).WithHint("%s", hint)
	}
	const leave = "leave it out for " + defaultPath
	switch p := c.Path; {
	case !strings.HasPrefix(p, "/"):
		return wrong("must begin with /", leave)
	case len(p) > maxPath:
		return wrong("is too long", leave)
	case strings.IndexFunc(p, notPath) >= 0:
		return wrong("must consist of letters, digits and -._~!$&'()*+,;=:@/", "a token never belongs into the path or a query: it is the secret token")
	case slices.ContainsFunc(strings.Split(p, "/"), func(part string) bool { return part == "." || part == ".." }):
		return wrong("must not have the parts . and ..", leave)
	case strings.Contains(p, "/services/collector/raw"):
		return wrong("must not be the one for raw data", leave)
	}
	return nil
}

func notPrintable(r rune) bool { return !unicode.IsPrint(r) }

func letterOrDigit(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

func notName(r rune) bool { return !letterOrDigit(r) && !strings.ContainsRune("-._", r) }

func notPath(r rune) bool { return !letterOrDigit(r) && !strings.ContainsRune("-._~!$&'()*+,;=:@/", r) }

func checkSecrets(secrets destination.Secrets) error {
	for name := range secrets {
		if name != Token {
			return sluice.Errorf(sluice.Invalid, "secrets has no field %q", name).WithHint("the secret is %s", Token)
		}
	}
	const where = "Splunk shows it under Settings, Data inputs, HTTP Event Collector"
	switch token := secrets[Token]; {
	case token == "":
		return sluice.Errorf(sluice.Invalid, "secrets.%s is required", Token).WithHint(where)
	case len(token) < minToken || len(token) > maxToken:
		return sluice.Errorf(sluice.Invalid, "secrets.%s must have %d to %d characters", Token, minToken, maxToken).WithHint(where)
	case strings.HasPrefix(token, "Splunk "):
		return sluice.Errorf(sluice.Invalid, "secrets.%s must be the token alone", Token).WithHint("leave out the word Splunk in front of it")
	case strings.IndexFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0:
		return sluice.Errorf(sluice.Invalid, "secrets.%s must consist of visible ASCII characters", Token).
			WithHint("blanks and line breaks often come along when a value is pasted")
	}
	return nil
}
