package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/notice"
	"github.com/sluicelog/sluice/secret"
	"github.com/sluicelog/sluice/web"
)

// Config is everything that can be set about a server. Each value comes from
// the first of: a flag (--retention-audit 90d), the environment
// (SLUICE_RETENTION_AUDIT=90d), the file named by --config or SLUICE_CONFIG
// ({"retention_audit": "90d"}), the default. Unknown names fail at start, and so
// do values that cannot be together.
//
// Sizes are bytes or have a unit (KiB, MiB, GiB, TiB); time spans have units
// from ns to h and d for days.
type Config struct {
	// Data is the folder that holds the log, the control state and the index. It
	// is created when it is absent or empty, which the server says. Default:
	// sluice-data in the working directory.
	Data string
	// Existing refuses to create state: Data must hold it already. It guards a
	// server whose disk was not mounted. Default: false.
	Existing bool
	// KeyFile is the file with the key that seals secrets, made at the first
	// start with mode 0600. Keep a copy away from Data: without it the secrets
	// of all streams are lost. Default: sluice.key in Data; see [Config.KeyPath].
	KeyFile string
	// AdminToken presets the administrator's token, 16 to 255 characters. It
	// cannot be a flag. Default: none; one is made at the first start and
	// printed once.
	AdminToken secret.Text

	// Listen is the host and port for the API and the pages. Default:
	// 127.0.0.1:8080, reachable from this machine only.
	Listen string
	// TLSCert and TLSKey are PEM files with the certificate chain and its key;
	// both or none. Default: none, which means plain HTTP.
	TLSCert, TLSKey string
	// ExternalURL is where browsers reach the pages, such as
	// https://sluice.example.com, when a proxy stands in front: a scheme, a host
	// and perhaps a port. With https, cookies are for encrypted connections alone.
	// Links in answers to clients of GitHub and GitLab lead there, too.
	// Default: none; browsers connect to Listen.
	ExternalURL web.Origin
	// TrustedProxy are the networks or addresses of proxies in front: what they
	// say in X-Forwarded-For is where requests come from. Default: none.
	TrustedProxy []netip.Prefix
	// MetricsListen is a host and port of its own for /metrics, /healthz and
	// /readyz, without authentication. Default: none; /metrics is then served
	// to administrators on Listen.
	MetricsListen string

	// AllowDestinations are private and loopback networks that streams may
	// deliver to. Link-local, multicast and unspecified addresses never can be.
	// Default: none, so only public addresses.
	AllowDestinations []netip.Prefix
	// Index keeps a search index, as it does by default.
	Index bool
	// AllowPrivateDestinations allows all private and loopback networks, and
	// plain HTTP where a kind of destination insists on TLS. Default: false.
	AllowPrivateDestinations bool

	// EgressAddresses are the networks or addresses that deliveries come from, as
	// owners of receivers see them: a firewall has to let them in. Sluice shows
	// them and does nothing else with them. Default: none.
	EgressAddresses []netip.Prefix

	// SMTPServer is the HOST:PORT of the mail server that takes notices. On port
	// 465 the connection begins with TLS, on every other it turns to TLS with
	// STARTTLS. Default: none, and no e-mails are sent.
	SMTPServer string
	// SMTPFrom is the sender of e-mails; needed with SMTPServer. Default: none.
	SMTPFrom string
	// SMTPUser is the name by which Sluice authenticates at the mail server.
	// Default: none, without authentication.
	SMTPUser string
	// SMTPPassword goes with SMTPUser. It cannot be a flag. Default: none.
	SMTPPassword secret.Text
	// SMTPAllowPlain permits a mail server beyond loopback that offers no
	// STARTTLS. Default: false.
	SMTPAllowPlain bool

	// Compression is how new events are stored: s2, or zstd, which takes a quarter less
	// disk, a third more processor time while events come in, and longer to read
	// single events. It may change at any start: what is stored stays as it is and
	// readable. Default: s2.
	Compression string
	// SegmentSize is the size in bytes of the log's files, the unit in which
	// retention frees space. At least 4 MiB. Default: 64 MiB.
	SegmentSize int64
	// FreeFloor is the free disk space in bytes below which new events are
	// answered with 507, so that control state and Sluice's own events still
	// find room. At least, and by default (0), the larger of 64 MiB and two
	// segments for each of the two partitions: 256 MiB; see [Config.check].
	FreeFloor int64
	// RetentionAudit is how long audit events are kept, by acceptance. What a
	// stream has not delivered is kept longer. At least 1h. Default: 180d.
	RetentionAudit time.Duration
	// RetentionGit is how long Git events are kept. At least 1h. Default: 7d.
	RetentionGit time.Duration
	// RetentionBytesAudit bounds the audit partition in bytes on disk, oldest
	// first; 0 is no bound, else at least two segments. Default: 0.
	RetentionBytesAudit int64
	// RetentionBytesGit bounds the Git partition likewise. Default: 0.
	RetentionBytesGit int64

	// MaxEvent is the size in bytes of the largest event, from 1 KiB to 32 MiB.
	// Default: 1 MiB.
	MaxEvent int64
	// MaxRequest is the size in bytes of the largest request with events, after
	// it was decompressed. At least MaxEvent. Default: 16 MiB.
	MaxRequest int64
	// IngestMemory bounds the bytes of all requests in progress; more wait or
	// are answered with 503. At least MaxRequest. Default: 64 MiB.
	IngestMemory int64
	// DeliveryMemory bounds the bytes of events on their way to destinations,
	// for the whole process. At least four times MaxEvent. Default: 64 MiB.
	DeliveryMemory int64
	// RateLimit is how many events a second a token may post that has no limit of
	// its own; more are answered with 429. 0 is no limit. Default: 0.
	RateLimit int
	// RequestLimit is how many requests a minute one token or session may make to
	// all APIs and pages together, posts of events apart; more are refused until the minute is
	// over. 0 is no limit. Default: 1,000.
	RequestLimit int
	// StreamLimit is how many streams a top-level namespace, or the instance, may
	// have, and how many namespaces a filter may name, from 1 to 1,000. Default: 100.
	StreamLimit int

	// LogLevel is the least severity of log lines: debug, info, warn or error.
	// Default: info.
	LogLevel slog.Level
	// LogFormat is text or json. Default: text.
	LogFormat string
	// ShutdownTimeout is how long a stopping server waits for requests in progress, and
	// then, for at most 2s, for deliveries. Those that are cut off are sent again after
	// the start. Default: 30s.
	ShutdownTimeout time.Duration
}

const (
	mib = 1 << 20
	// partitions is how many parts of the log need room of their own.
	partitions = 2
)

// defaultConfig returns the documented defaults.
func defaultConfig() Config {
	return Config{
		Data:            "sluice-data",
		Listen:          "127.0.0.1:8080",
		Compression:     "s2",
		SegmentSize:     64 * mib,
		Index:           true,
		RetentionAudit:  180 * day,
		RetentionGit:    7 * day,
		MaxEvent:        mib,
		MaxRequest:      16 * mib,
		IngestMemory:    64 * mib,
		DeliveryMemory:  64 * mib,
		RequestLimit:    1000,
		StreamLimit:     control.DefaultStreamLimit,
		LogLevel:        slog.LevelInfo,
		LogFormat:       "text",
		ShutdownTimeout: 30 * time.Second,
	}
}

// KeyPath returns where the sealing key is.
func (c *Config) KeyPath() string {
	if c.KeyFile != "" {
		return c.KeyFile
	}
	return filepath.Join(c.Data, "sluice.key")
}

// check fills in what depends on other values and reports everything that is
// wrong or cannot be together.
func (c *Config) check() error {
	least := max(64*mib, 2*partitions*c.SegmentSize)
	if c.FreeFloor == 0 {
		c.FreeFloor = least
	}
	tokenLength := len(c.AdminToken.Reveal())
	rules := []struct {
		wrong bool
		text  string
	}{
		{c.Data == "", "data: must name a folder"},
		{c.AdminToken != "" && (tokenLength < 16 || tokenLength > 255), "admin-token: must have 16 to 255 characters"},
		{(c.TLSCert == "") != (c.TLSKey == ""), "tls-cert and tls-key: need each other"},
		{c.MetricsListen != "" && c.MetricsListen == c.Listen && !anyPort(c.Listen), "metrics-listen: must differ from listen"},
		{c.SMTPServer != "" && c.SMTPFrom == "", "smtp-server: needs smtp-from"},
		{c.SMTPServer == "" && (c.SMTPFrom != "" || c.SMTPUser != "" || c.SMTPPassword != "" || c.SMTPAllowPlain), "smtp-from, smtp-user, smtp-password and smtp-allow-plain: need smtp-server"},
		{(c.SMTPUser == "") != (c.SMTPPassword == ""), "smtp-user and smtp-password: need each other"},
		{c.SegmentSize < 4*mib || c.SegmentSize > 1<<40, "segment-size: must be from 4MiB to 1TiB"},
		{c.FreeFloor < least, fmt.Sprintf("free-floor: must be at least %s with segments of %s", formatSize(least), formatSize(c.SegmentSize))},
		{c.RetentionAudit < time.Hour, "retention-audit: must be at least 1h"},
		{c.RetentionGit < time.Hour, "retention-git: must be at least 1h"},
		{tooFew(c.RetentionBytesAudit, c.SegmentSize), "retention-bytes-audit: must be 0 or at least two segments"},
		{tooFew(c.RetentionBytesGit, c.SegmentSize), "retention-bytes-git: must be 0 or at least two segments"},
		{c.MaxEvent < 1<<10 || c.MaxEvent > 32*mib, "max-event: must be from 1KiB to 32MiB"},
		{c.MaxEvent > c.SegmentSize/2, "max-event: must be at most half of segment-size"},
		{c.MaxRequest < c.MaxEvent, "max-request: must be at least max-event"},
		{c.IngestMemory < c.MaxRequest, "ingest-memory: must be at least max-request"},
		{c.DeliveryMemory < 4*c.MaxEvent, "delivery-memory: must be at least four times max-event"},
		{c.StreamLimit < 1 || c.StreamLimit > 1000, "stream-limit: must be 1 to 1,000"},
		{c.ShutdownTimeout <= 0, "shutdown-timeout: must be more than 0"},
	}
	var errs []error
	for _, r := range rules {
		if r.wrong {
			errs = append(errs, errors.New(r.text))
		}
	}
	errs = append(errs, checkAddress("listen", c.Listen), checkDestinations(c.AllowDestinations))
	if c.MetricsListen != "" {
		errs = append(errs, checkAddress("metrics-listen", c.MetricsListen))
	}
	if c.SMTPServer != "" && c.SMTPFrom != "" {
		if _, err := notice.NewMail(c.mail()); err != nil {
			errs = append(errs, fmt.Errorf("smtp-server, smtp-from: %w", err))
		}
	}
	return errors.Join(errs...)
}

// mail returns how notices are sent as e-mails.
func (c *Config) mail() notice.MailConfig {
	return notice.MailConfig{Server: c.SMTPServer, From: c.SMTPFrom, User: c.SMTPUser, Password: c.SMTPPassword, AllowPlain: c.SMTPAllowPlain}
}

func tooFew(bytes, segment int64) bool { return bytes != 0 && bytes < 2*segment }

func checkAddress(name, address string) error {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		return fmt.Errorf("%s: must be HOST:PORT, got %q", name, address)
	}
	return nil
}

// anyPort reports whether the system is to choose the port.
func anyPort(address string) bool {
	_, port, err := net.SplitHostPort(address)
	return err == nil && port == "0"
}

// checkDestinations refuses networks that are never allowed whatever is
// configured.
func checkDestinations(prefixes []netip.Prefix) error {
	for _, p := range prefixes {
		a := p.Addr().Unmap()
		if a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() && p.Bits() == a.BitLen() {
			return fmt.Errorf("allow-destination: %s can never be allowed", p)
		}
	}
	return nil
}

// Warnings returns what is allowed and yet probably not meant.
func (c *Config) Warnings() []string {
	var warnings []string
	host, _, err := net.SplitHostPort(c.Listen)
	if err == nil && c.TLSCert == "" && !isLoopback(host) && !strings.HasPrefix(c.ExternalURL.String(), "https:") {
		warnings = append(warnings, "tokens and events cross the network in the clear: set tls-cert and tls-key, or put a proxy with TLS in front and set external-url")
	}
	return warnings
}

func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}
