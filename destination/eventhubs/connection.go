package eventhubs

import (
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/secret"
)

// Limits of a connection string.
const (
	maxConnectionString = 4096 // bytes
	signaturePrefix     = "SharedAccessSignature "
)

// Ports of the service and of the emulator.
const (
	portTLS   = "5671"
	portPlain = "5672"
)

// connection is what a connection string says.
type connection struct {
	Host, Port string
	KeyName    string
	Key        secret.Text // with KeyName; "" when there is a signature
	Signature  secret.Text // "SharedAccessSignature sr=..." in full
	emulator   bool        // speaks AMQP without TLS
}

// parts are the members of a connection string, by lower-case key.
type parts map[string]string

// known are the keys of a connection string, as the portal spells them.
var known = [...]string{"Endpoint", "SharedAccessKeyName", "SharedAccessKey", "SharedAccessSignature", "EntityPath", "UseDevelopmentEmulator"}

// connectionError is about the secret; its text must hold nothing of it.
func connectionError(format string, args ...any) *sluice.Error {
	e := sluice.Errorf(sluice.Invalid, "secrets.connection_string "+format, args...)
	return e.WithHint("copy it from the portal: Shared access policies, the policy, Connection string-primary key")
}

// parseConnection reads a connection string in any of its documented forms, for
// the event hub of that name:
//
//	Endpoint=sb://NS.servicebus.windows.net/;SharedAccessKeyName=NAME;SharedAccessKey=KEY[;EntityPath=HUB]
//	Endpoint=sb://NS.servicebus.windows.net/;SharedAccessSignature=SharedAccessSignature sr=...&sig=...&se=...&skn=...
//	Endpoint=sb://localhost;SharedAccessKeyName=NAME;SharedAccessKey=KEY;UseDevelopmentEmulator=true;
//
// Keys are compared without case, values may hold '='. Errors never repeat what
// could be a secret in the wrong place.
func parseConnection(s, hub string) (connection, error) {
	p, err := splitConnection(s)
	if err != nil {
		return connection{}, err
	}
	var c connection
	if c.emulator, err = p.emulator(); err != nil {
		return c, err
	}
	if c.Host, c.Port, err = p.endpoint(c.emulator); err != nil {
		return c, err
	}
	if err := p.credentials(&c); err != nil {
		return c, err
	}
	return c, p.checkHub(hub)
}

func splitConnection(s string) (parts, error) {
	s = strings.TrimSpace(s)
	switch {
	case s == "":
		return nil, connectionError("is required")
	case len(s) > maxConnectionString:
		return nil, connectionError("must have at most %d bytes", maxConnectionString)
	case strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
		return nil, connectionError("must be one line of printable characters")
	}
	p := parts{}
	for piece := range strings.SplitSeq(s, ";") {
		if piece = strings.TrimSpace(piece); piece == "" {
			continue
		}
		key, value, ok := strings.Cut(piece, "=")
		if !ok {
			return nil, connectionError("has a part that is not KEY=VALUE")
		}
		name := knownKey(strings.TrimSpace(key))
		if name == "" {
			return nil, connectionError("has a part that is not known here; the parts are %s", strings.Join(known[:], ", "))
		}
		if _, twice := p[name]; twice {
			return nil, connectionError("has %s twice", name)
		}
		p[name] = strings.TrimSpace(value)
	}
	return p, nil
}

func knownKey(key string) string {
	for _, name := range known {
		if strings.EqualFold(name, key) {
			return name
		}
	}
	return ""
}

func (p parts) emulator() (bool, error) {
	value, ok := p["UseDevelopmentEmulator"]
	if !ok {
		return false, nil
	}
	on, err := strconv.ParseBool(strings.ToLower(value))
	if err != nil {
		return false, connectionError("has a UseDevelopmentEmulator that is neither true nor false")
	}
	return on, nil
}

// endpoint returns the host and the port to connect to. Strings of the portal
// have no port.
func (p parts) endpoint(emulator bool) (host, port string, err error) {
	value := p["Endpoint"]
	if value == "" {
		return "", "", connectionError("has no Endpoint")
	}
	const example = "must look like sb://NAMESPACE.servicebus.windows.net/"
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "sb" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", "", connectionError("has an Endpoint that %s", example)
	}
	host, port = u.Hostname(), u.Port()
	if host == "" || strings.ContainsFunc(host, func(r rune) bool { return !alphanumeric(r) && !strings.ContainsRune(".-_:", r) }) {
		return "", "", connectionError("has an Endpoint that %s", example)
	}
	if port == "" {
		port = portTLS
		if emulator {
			port = portPlain
		}
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return "", "", connectionError("has an Endpoint with a port that is not 1 to 65535")
	}
	return host, port, nil
}

func (p parts) credentials(c *connection) error {
	name, key, signature := p["SharedAccessKeyName"], p["SharedAccessKey"], p["SharedAccessSignature"]
	switch {
	case signature != "" && key != "":
		return connectionError("has both SharedAccessKey and SharedAccessSignature: leave one out")
	case signature != "":
		if _, err := parseSignature(signature); err != nil {
			return connectionError("has a SharedAccessSignature that is not one: it must look like %ssr=...&sig=...&se=...&skn=...", signaturePrefix)
		}
		c.Signature = secret.Text(signature)
		return nil
	case name == "":
		return connectionError("has no SharedAccessKeyName")
	case key == "":
		return connectionError("has no SharedAccessKey")
	}
	c.KeyName, c.Key = name, secret.Text(key)
	return nil
}

// checkHub compares EntityPath, which a connection string of a hub has and one
// of its namespace lacks, with the name in the configuration.
func (p parts) checkHub(hub string) error {
	path, ok := p["EntityPath"]
	switch {
	case !ok || strings.EqualFold(path, hub):
		return nil
	case !validName(path):
		return connectionError("has an EntityPath that is not the name of an event hub")
	}
	return connectionError("is for the event hub %s, but config.name is %s", path, hub).
		WithHint("correct the name, or copy the connection string of that event hub")
}
