package notice

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/netip"
	"net/smtp"
	"strings"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/secret"
)

const (
	mailTimeout = 30 * time.Second
	maxAddress  = 254 // bytes (RFC 5321, 4.5.3.1.3 with the brackets left out)
)

// MailConfig says which server takes e-mails, and how.
type MailConfig struct {
	// Server is HOST:PORT. On port 465 the connection begins with TLS, on every
	// other it turns to TLS by STARTTLS.
	Server string
	// From is the sender's address.
	From string
	// User and Password authenticate, when User is set.
	User     string
	Password secret.Text
	// AllowPlain permits a server that offers no STARTTLS. One on loopback is
	// permitted always.
	AllowPlain bool
	// RootCAs are the authorities to trust; nil means the system's.
	RootCAs *x509.CertPool
	// Now is the clock; time.Now by default.
	Now func() time.Time
}

// Mail sends notices as e-mails through the operator's server.
type Mail struct {
	cfg  MailConfig
	host string
	from *mail.Address
}

var _ Sender = (*Mail)(nil)

// NewMail returns a Mail. Its error says what is wrong with the configuration.
func NewMail(cfg MailConfig) (*Mail, error) {
	host, port, err := net.SplitHostPort(cfg.Server)
	if err != nil || host == "" || port == "" {
		return nil, fmt.Errorf("mail server %q: must be HOST:PORT", cfg.Server)
	}
	from, err := mail.ParseAddress(cfg.From)
	if err != nil {
		return nil, fmt.Errorf("mail sender %q: must be an e-mail address", cfg.From)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Mail{cfg: cfg, host: host, from: from}, nil
}

// Check implements [Sender].
func (m *Mail) Check(_ context.Context, address string) error { return CheckEmail(address) }

// CheckEmail reports, as a *sluice.Error with code Invalid, what is wrong with an
// e-mail address. It has to stand alone, without a name.
func CheckEmail(address string) error {
	a, err := mail.ParseAddress(address)
	if err != nil || a.Address != address || len(address) > maxAddress || strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return sluice.Errorf(sluice.Invalid, "the address of a notice is not an e-mail address").WithHint("for example siem-team@acme.example")
	}
	return nil
}

// late reports whether a socket's deadline was met, which is that of the context and
// may be noticed first.
func late(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// Send implements [Sender].
func (m *Mail) Send(ctx context.Context, address string, n Notice) error {
	ctx, cancel := context.WithTimeout(ctx, mailTimeout)
	defer cancel()
	err := m.send(ctx, address, m.message(address, &n))
	if err != nil && (ctx.Err() != nil || late(err)) {
		return errors.New("the mail server did not answer in time")
	}
	if err != nil {
		return fmt.Errorf("the mail server %s: %s", m.cfg.Server, m.words(err))
	}
	return nil
}

// words returns an error without the password, which servers may repeat.
func (m *Mail) words(err error) string {
	password := m.cfg.Password.Reveal()
	return destination.NewRedactor(password, "\x00"+m.cfg.User+"\x00"+password).Words([]byte(err.Error()))
}

func (m *Mail) send(ctx context.Context, to string, message []byte) error {
	conn, err := m.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	return m.talk(conn, to, message)
}

// talk hands the message over on a connection.
func (m *Mail) talk(conn net.Conn, to string, message []byte) error {
	c, err := smtp.NewClient(conn, m.host)
	if err != nil {
		return err
	}
	if err := c.Hello(m.domain()); err != nil {
		return err
	}
	if err := m.secure(c, conn); err != nil {
		return err
	}
	if m.cfg.User != "" {
		if err := c.Auth(smtp.PlainAuth("", m.cfg.User, m.cfg.Password.Reveal(), m.host)); err != nil {
			return err
		}
	}
	if err := c.Mail(m.from.Address); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(message); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	_ = c.Quit() // the message was taken
	return nil
}

// dial connects to the operator's server, which may be in the own network.
func (m *Mail) dial(ctx context.Context) (net.Conn, error) {
	d := &net.Dialer{}
	if strings.HasSuffix(m.cfg.Server, ":465") {
		return (&tls.Dialer{NetDialer: d, Config: m.tls()}).DialContext(ctx, "tcp", m.cfg.Server)
	}
	return d.DialContext(ctx, "tcp", m.cfg.Server)
}

func (m *Mail) tls() *tls.Config {
	return &tls.Config{ServerName: m.host, MinVersion: tls.VersionTLS12, RootCAs: m.cfg.RootCAs}
}

// secure turns the connection to TLS, unless it is that already or need not be.
func (m *Mail) secure(c *smtp.Client, conn net.Conn) error {
	if _, ok := conn.(*tls.Conn); ok {
		return nil
	}
	if ok, _ := c.Extension("STARTTLS"); ok {
		return c.StartTLS(m.tls())
	}
	if m.cfg.AllowPlain || loopback(conn.RemoteAddr()) {
		return nil
	}
	return errors.New("it offers no STARTTLS, and plain text is not allowed")
}

func loopback(a net.Addr) bool {
	ap, err := netip.ParseAddrPort(a.String())
	return err == nil && ap.Addr().Unmap().IsLoopback()
}

// domain is the sender's, by which Sluice introduces itself.
func (m *Mail) domain() string {
	_, domain, _ := strings.Cut(m.from.Address, "@")
	return domain
}

// message returns the e-mail (RFC 5322).
func (m *Mail) message(to string, n *Notice) []byte {
	var b bytes.Buffer
	for _, h := range [][2]string{
		{"From", m.from.String()},
		{"To", (&mail.Address{Address: to}).String()},
		{"Subject", mime.QEncoding.Encode("utf-8", n.Subject())},
		{"Date", m.cfg.Now().Format(time.RFC1123Z)},
		{"Message-ID", "<" + n.ID + "@" + m.domain() + ">"},
		{"Auto-Submitted", "auto-generated"},
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "quoted-printable"},
	} {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write([]byte(strings.ReplaceAll(n.Text(), "\n", "\r\n"))) // into memory
	_ = w.Close()
	return b.Bytes()
}
