package cloudlogging

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// Addresses of Google's public services.
const (
	DefaultEndpoint = "https://logging.googleapis.com"
	DefaultTokenURL = "https://oauth2.googleapis.com/token"
)

// DefaultLogID is the log that is written to when the configuration names none.
const DefaultLogID = "audit_events"

// Limits of a configuration.
const (
	maxEmail = 254  // bytes
	maxLogID = 511  // bytes
	maxURL   = 2048 // bytes
)

// Config is the kind's configuration in canonical form.
type Config struct {
	// ProjectID is the id of the Google Cloud project: 6 to 30 characters.
	ProjectID string `json:"project_id"`
	// ClientEmail is the service account's e-mail address. It may be left out
	// when the private key is given as a JSON key file.
	ClientEmail string `json:"client_email"`
	// LogID names the log in the project: at most 511 letters, digits and /_-.
	// It is [DefaultLogID] when left out.
	LogID string `json:"log_id"`
	// Endpoint is where the API is; empty means [DefaultEndpoint]. Only
	// administrators may set it.
	Endpoint string `json:"endpoint,omitempty"`
	// TokenURL gives access tokens; empty means [DefaultTokenURL]. Only
	// administrators may set it.
	TokenURL string `json:"token_url,omitempty"`
}

var (
	projectPattern = regexp.MustCompile(`^[a-z][a-z0-9-]{4,28}[a-z0-9]$`)
	logPattern     = regexp.MustCompile(`^[A-Za-z0-9_/.-]+$`)
	emailPattern   = regexp.MustCompile(`^[!-?A-~]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$`)
)

func parseConfig(raw json.RawMessage) (Config, error) {
	c := Config{LogID: DefaultLogID}
	fields := []string{"project_id", "client_email", "log_id", "endpoint", "token_url"}
	if err := misplacedKey(raw); err != nil {
		return c, err
	}
	f, err := destination.ReadFields("config", raw, fields...)
	if err != nil {
		return c, err
	}
	members := make([]destination.Member, len(fields))
	for i, into := range []any{&c.ProjectID, &c.ClientEmail, &c.LogID, &c.Endpoint, &c.TokenURL} {
		members[i] = destination.Member{Name: fields[i], Into: into}
	}
	if err := f.ReadAll(members...); err != nil {
		return c, err
	}
	for _, s := range []*string{&c.ProjectID, &c.ClientEmail, &c.LogID, &c.Endpoint, &c.TokenURL} {
		*s = strings.TrimSpace(*s)
	}
	return c, c.check()
}

// misplacedKey tells those who put the key into the configuration where it
// belongs: what is in the configuration is shown again, secrets are not.
func misplacedKey(raw json.RawMessage) error {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return nil // ReadFields has the words for it
	}
	for _, name := range []string{"private_key", "private_key_id", "key_file", "credentials"} {
		if members[name] != nil {
			return sluice.Errorf(sluice.Invalid, "config.%s: the key does not belong into the configuration", name).
				WithHint("send it as secrets.%s: the text behind private_key of the JSON key file, or the whole file", PrivateKey)
		}
	}
	return nil
}

func (c *Config) check() error {
	switch {
	case c.ProjectID == "":
		return sluice.Errorf(sluice.Invalid, "config.project_id is required").
			WithHint("the project's id, for example my-project-123456; not its name or number")
	case !projectPattern.MatchString(c.ProjectID):
		return sluice.Errorf(sluice.Invalid, "config.project_id must have 6 to 30 lowercase letters, digits or hyphens, "+
			"start with a letter and end with a letter or a digit").WithHint("use the project's id, not its name or number")
	case c.LogID == "" || len(c.LogID) > maxLogID || !logPattern.MatchString(c.LogID):
		return sluice.Errorf(sluice.Invalid, "config.log_id must have 1 to %d letters, digits, slashes, underscores, hyphens or periods", maxLogID).
			WithHint("any such string will do: use it to filter in Google Cloud")
	}
	if c.ClientEmail != "" {
		if err := checkEmail("config.client_email", c.ClientEmail); err != nil {
			return err
		}
	}
	end := func(r rune) bool { return r == '/' || unicode.IsSpace(r) }
	if c.Endpoint = strings.TrimRightFunc(c.Endpoint, end); c.Endpoint == DefaultEndpoint {
		c.Endpoint = ""
	}
	if c.TokenURL == DefaultTokenURL {
		c.TokenURL = ""
	}
	if err := checkURL("config.endpoint", c.Endpoint); err != nil {
		return err
	}
	return checkURL("config.token_url", c.TokenURL)
}

func checkEmail(path, email string) error {
	if len(email) > maxEmail || !emailPattern.MatchString(email) {
		return sluice.Errorf(sluice.Invalid, "%s must be an e-mail address of at most %d bytes", path, maxEmail).
			WithHint("for example sluice@my-project-123456.iam.gserviceaccount.com")
	}
	return nil
}

func checkURL(path, raw string) error {
	if raw == "" {
		return nil
	}
	u, err := url.Parse(raw)
	switch {
	case len(raw) > maxURL:
		return sluice.Errorf(sluice.Invalid, "%s must have at most %d bytes", path, maxURL)
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "" || u.Hostname() == "" || !validPort(u):
		return sluice.Errorf(sluice.Invalid, "%s must be a URL that starts with https:// and names a host", path)
	case u.User != nil || strings.ContainsAny(raw, "?#"):
		return sluice.Errorf(sluice.Invalid, "%s must not hold a password, a query (?...) or a fragment (#...)", path)
	case strings.IndexFunc(u.Hostname(), notHost) >= 0:
		return sluice.Errorf(sluice.Invalid, "%s has a host name with characters that are not allowed", path)
	}
	return nil
}

func validPort(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	n, err := strconv.Atoi(u.Port())
	return err == nil && n >= 1 && n <= 65535
}

func notHost(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(".-_:", r))
}

// checkRules applies the operator's rules. The token endpoint gets a proof that
// stands for the key, and the API all events, so that owners cannot choose them.
func (c *Config) checkRules(rules destination.Rules) error {
	for _, f := range []struct{ name, value string }{{"endpoint", c.Endpoint}, {"token_url", c.TokenURL}} {
		switch {
		case f.value == "":
		case !rules.Administrator:
			return sluice.Errorf(sluice.Invalid, "config.%s can be set by administrators only", f.name).
				WithHint("leave it out to deliver to Google Cloud")
		case !rules.AllowInsecure && !strings.HasPrefix(f.value, "https://"):
			return sluice.Errorf(sluice.Invalid, "config.%s must start with https://", f.name).
				WithHint("the operator can allow http with --allow-private-destinations")
		}
	}
	return nil
}

func (c *Config) endpoint() string {
	if c.Endpoint == "" {
		return DefaultEndpoint
	}
	return c.Endpoint
}

func (c *Config) tokenURL() string {
	if c.TokenURL == "" {
		return DefaultTokenURL
	}
	return c.TokenURL
}

// logName is the log's name in the API, where the id is escaped as a part of a
// path: "/" becomes "%2F".
func (c *Config) logName() string {
	return "projects/" + c.ProjectID + "/logs/" + strings.ReplaceAll(c.LogID, "/", "%2F")
}
