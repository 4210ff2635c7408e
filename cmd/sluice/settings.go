package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/sluicelog/sluice/failpoint"
	"github.com/sluicelog/sluice/secret"
)

// setting ties a field of a Config to its name: the flag --retention-audit, the
// variable SLUICE_RETENTION_AUDIT and the file's key retention_audit.
type setting struct {
	name   string
	value  flag.Value
	usage  string
	secret bool // never a flag, never printed
}

func (s *setting) env() string { return "SLUICE_" + strings.ToUpper(s.key()) }
func (s *setting) key() string { return strings.ReplaceAll(s.name, "-", "_") }

// settings lists what can be set in c. Setting a value changes c.
func (c *Config) settings() []setting {
	return []setting{
		{name: "data", value: stringValue{&c.Data}, usage: "`DIR` for log, control state and index; created when absent or empty"},
		{name: "existing", value: boolValue{&c.Existing}, usage: "refuse to create state: DIR must hold it already"},
		{name: "key-file", value: stringValue{&c.KeyFile}, usage: "`FILE` with the sealing key, made at the first start (sluice.key in DIR unless given)"},
		{name: "admin-token", value: secretValue{&c.AdminToken}, secret: true, usage: "the administrator's token"},
		{name: "listen", value: stringValue{&c.Listen}, usage: "`HOST:PORT` of the API and the pages"},
		{name: "tls-cert", value: stringValue{&c.TLSCert}, usage: "PEM `FILE` with the certificate chain"},
		{name: "tls-key", value: stringValue{&c.TLSKey}, usage: "PEM `FILE` with the certificate's key"},
		{name: "external-url", value: originValue{&c.ExternalURL}, usage: "`URL` at which browsers reach the pages, when a proxy stands in front"},
		{name: "trusted-proxy", value: prefixesValue{&c.TrustedProxy}, usage: "proxy in front (`CIDR`) whose X-Forwarded-For is believed; may be repeated"},
		{name: "metrics-listen", value: stringValue{&c.MetricsListen}, usage: "`HOST:PORT` of its own for /metrics, /healthz and /readyz, without authentication"},
		{name: "allow-destination", value: prefixesValue{&c.AllowDestinations}, usage: "private or loopback network (`CIDR`) that streams may deliver to; may be repeated"},
		{name: "allow-private-destinations", value: boolValue{&c.AllowPrivateDestinations}, usage: "allow all private and loopback destinations, and plain HTTP to them"},
		{name: "egress-addresses", value: prefixesValue{&c.EgressAddresses}, usage: "networks or addresses (`CIDR`) that deliveries come from, to be shown to owners of receivers; may be repeated"},
		{name: "smtp-server", value: stringValue{&c.SMTPServer}, usage: "`HOST:PORT` of the mail server for notices"},
		{name: "smtp-from", value: stringValue{&c.SMTPFrom}, usage: "`ADDRESS` that notices come from"},
		{name: "smtp-user", value: stringValue{&c.SMTPUser}, usage: "`NAME` at the mail server; the password is SLUICE_SMTP_PASSWORD"},
		{name: "smtp-password", value: secretValue{&c.SMTPPassword}, secret: true, usage: "the password at the mail server"},
		{name: "smtp-allow-plain", value: boolValue{&c.SMTPAllowPlain}, usage: "allow a mail server beyond loopback without STARTTLS"},
		{name: "compression", value: choiceValue{&c.Compression, []string{"s2", "zstd"}}, usage: "how new events are stored: `s2|zstd`; zstd takes a quarter less disk and a third more processor time, and may be chosen or left at any start"},
		{name: "segment-size", value: sizeValue{&c.SegmentSize}, usage: "`SIZE` of the log's files"},
		{name: "index", value: boolValue{&c.Index}, usage: "keep a search index, for sluice search, export and tail; --index=false saves its memory and processor time"},
		{name: "free-floor", value: sizeValue{&c.FreeFloor}, usage: "free disk space (`SIZE`) below which events are refused with 507; 0 is the least that is allowed: 64MiB, or two segments of each partition if that is more"},
		{name: "retention-audit", value: durationValue{&c.RetentionAudit}, usage: "`SPAN` that audit events are kept"},
		{name: "retention-git", value: durationValue{&c.RetentionGit}, usage: "`SPAN` that Git events are kept"},
		{name: "retention-bytes-audit", value: sizeValue{&c.RetentionBytesAudit}, usage: "most `SIZE` of all audit events on disk; 0 is no limit"},
		{name: "retention-bytes-git", value: sizeValue{&c.RetentionBytesGit}, usage: "most `SIZE` of all Git events on disk; 0 is no limit"},
		{name: "max-event", value: sizeValue{&c.MaxEvent}, usage: "`SIZE` of the largest event"},
		{name: "max-request", value: sizeValue{&c.MaxRequest}, usage: "`SIZE` of the largest request with events, unpacked"},
		{name: "ingest-memory", value: sizeValue{&c.IngestMemory}, usage: "most `SIZE` of all requests in progress"},
		{name: "delivery-memory", value: sizeValue{&c.DeliveryMemory}, usage: "most `SIZE` of events on their way to destinations"},
		{name: "rate-limit", value: countValue{&c.RateLimit}, usage: "most events a second of a token without a limit of its own (`NUMBER`); 0 is no limit"},
		{name: "request-limit", value: countValue{&c.RequestLimit}, usage: "most requests a minute of one token or session (`NUMBER`), posts of events apart; 0 is no limit"},
		{name: "stream-limit", value: countValue{&c.StreamLimit}, usage: "most streams of an enterprise or group, and most namespaces of a filter (`NUMBER`), 1 to 1,000"},
		{name: "log-level", value: levelValue{&c.LogLevel}, usage: "least severity of log lines: `debug|info|warn|error`"},
		{name: "log-format", value: choiceValue{&c.LogFormat, []string{"text", "json"}}, usage: "`text|json`"},
		{name: "shutdown-timeout", value: durationValue{&c.ShutdownTimeout}, usage: "`SPAN` to wait for requests in progress when stopping; deliveries have 2s of it, and are sent again after the start when they are cut off"},
	}
}

type secretValue struct{ p *secret.Text }

func (v secretValue) Set(s string) error { *v.p = secret.Text(s); return nil }
func (v secretValue) String() string {
	if deref(v.p) == "" {
		return ""
	}
	return deref(v.p).String()
}

// recorder is the flag of a setting: it only notes what was given, because
// which source wins is decided after all were read.
type recorder struct {
	setting *setting
	given   *[]string
}

func (r recorder) IsBoolFlag() bool {
	b, ok := r.setting.value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

func (r recorder) Set(s string) error { *r.given = append(*r.given, s); return nil }
func (r recorder) String() string {
	if r.setting == nil {
		return ""
	}
	return r.setting.value.String()
}

// configSource holds the flags of a server's command line until load.
type configSource struct {
	config   Config
	settings []setting
	flags    [][]string // as given, by setting
	file     string     // --config
	origin   []string   // where each value came from, after load
}

// configFlags adds a flag for every setting that may be one.
func configFlags(fs *flag.FlagSet) *configSource {
	src := &configSource{config: defaultConfig()}
	src.settings = src.config.settings()
	src.flags = make([][]string, len(src.settings))
	src.origin = make([]string, len(src.settings))
	for i := range src.settings {
		if s := &src.settings[i]; !s.secret {
			fs.Var(recorder{s, &src.flags[i]}, s.name, s.usage)
		}
	}
	fs.StringVar(&src.file, "config", "", "JSON `FILE` with settings, under their names with _ for -")
	return src
}

// load decides every value and checks them together.
func (src *configSource) load(env *Env) (Config, error) {
	if err := src.checkEnviron(env); err != nil {
		return Config{}, err
	}
	if src.file == "" {
		src.file = env.Getenv("SLUICE_CONFIG")
	}
	file, err := src.readFile()
	if err != nil {
		return Config{}, err
	}
	var errs []error
	for i := range src.settings {
		errs = append(errs, src.decide(i, env, file))
	}
	if err := errors.Join(errs...); err != nil {
		return Config{}, asUsage(err)
	}
	if err := src.config.check(); err != nil {
		return Config{}, asUsage(err)
	}
	return src.config, nil
}

func asUsage(err error) error {
	return usagef("configuration: %s", strings.ReplaceAll(err.Error(), "\n", "\n  "))
}

// decide takes the values of setting i from the first source that has any.
func (src *configSource) decide(i int, env *Env, file map[string][]string) error {
	s := &src.settings[i]
	values, origin := src.flags[i], "flag --"+s.name
	if values == nil {
		if v := env.Getenv(s.env()); v != "" {
			values, origin = []string{v}, "environment "+s.env()
		}
	}
	if values == nil {
		if v, ok := file[s.key()]; ok {
			values, origin = v, fmt.Sprintf("file %s: %s", src.file, s.key())
		}
	}
	if values == nil {
		src.origin[i] = "default"
		return nil
	}
	src.origin[i] = origin
	for _, v := range values {
		if err := s.value.Set(v); err != nil {
			return fmt.Errorf("%s: %w", origin, err)
		}
	}
	return nil
}

// otherVariables are read, and are no settings.
func otherVariables() []string {
	return append([]string{"SLUICE_CONFIG", "SLUICE_SERVER", "SLUICE_TOKEN", "SLUICE_TOKEN_FILE", "SLUICE_CPUPROFILE"}, failpoint.Variables()...)
}

// checkEnviron refuses SLUICE_ variables that nobody reads. Those that
// Kubernetes sets for a service named sluice are let pass.
func (src *configSource) checkEnviron(env *Env) error {
	known := otherVariables()
	for i := range src.settings {
		known = append(known, src.settings[i].env())
	}
	for _, pair := range env.Environ {
		name, _, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, "SLUICE_") || slices.Contains(known, name) ||
			strings.HasPrefix(name, "SLUICE_SERVICE_") || strings.HasPrefix(name, "SLUICE_PORT") {
			continue
		}
		e := usagef("configuration: environment %s is not known", name)
		if n := nearest(name, known); n != "" {
			return e.withHint("Did you mean %s?", n)
		}
		return e
	}
	return nil
}

// readFile reads the configuration file: one JSON object of known keys.
func (src *configSource) readFile() (map[string][]string, error) {
	if src.file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(src.file)
	if err != nil {
		return nil, usagef("configuration: %v", err)
	}
	values, err := parseConfigFile(text)
	if err != nil {
		return nil, usagef("configuration: file %s: %v", src.file, err)
	}
	var known []string
	for i := range src.settings {
		known = append(known, src.settings[i].key())
	}
	for key := range values {
		if slices.Contains(known, key) {
			continue
		}
		e := usagef("configuration: file %s: %q is not known", src.file, key)
		if n := nearest(key, known); n != "" {
			return nil, e.withHint("Did you mean %q?", n)
		}
		return nil, e
	}
	return values, nil
}

// parseConfigFile returns the values of a JSON object in the spelling of flags.
func parseConfigFile(text []byte) (map[string][]string, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("must be a JSON object")
	}
	values := make(map[string][]string)
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, err
		}
		key := fmt.Sprint(t)
		if _, twice := values[key]; twice {
			return nil, fmt.Errorf("%q stands there twice", key)
		}
		var v any
		if err := dec.Decode(&v); err != nil {
			return nil, err
		}
		if values[key], err = flagTexts(v); err != nil {
			return nil, fmt.Errorf("%q: %w", key, err)
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("something follows the JSON object")
	}
	return values, nil
}

func flagTexts(v any) ([]string, error) {
	switch v := v.(type) {
	case string, bool, json.Number:
		return []string{fmt.Sprint(v)}, nil
	case []any:
		texts := []string{}
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return nil, fmt.Errorf("must be a list of strings")
			}
			texts = append(texts, s)
		}
		return texts, nil
	}
	return nil, fmt.Errorf("must be a string, a number, true, false or a list of strings")
}

// print shows every value with where it came from.
func (src *configSource) print(w io.Writer, asJSON bool) error {
	if asJSON {
		type entry struct {
			Name  string `json:"name"`
			Value string `json:"value"`
			From  string `json:"from"`
		}
		var entries []entry
		for i := range src.settings {
			s := &src.settings[i]
			entries = append(entries, entry{s.key(), s.value.String(), src.origin[i]})
		}
		return writeJSON(w, entries)
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i := range src.settings {
		s := &src.settings[i]
		fmt.Fprintf(tw, "%s\t= %s\t# %s\n", s.key(), s.value.String(), src.origin[i])
	}
	return tw.Flush()
}
