package notice

import (
	"bytes"
	"encoding/base64"
	"net"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/sluicelog/sluice/destination"
)

// script is a connection to a server that gives its answers whatever it gets.
type script struct {
	net.Conn
	answers *bytes.Reader
	got     bytes.Buffer
}

func (s *script) Read(p []byte) (int, error)  { return s.answers.Read(p) }
func (s *script) Write(p []byte) (int, error) { return s.got.Write(p) }

// FuzzMailAnswers has a mail server that says anything at all: an e-mail is sent only
// when the whole of it was handed over, and what is told of a failure is short, can be
// printed, and has no password in it.
func FuzzMailAnswers(f *testing.F) {
	const user, password = "sluice", "correct-horse-battery"
	plain := base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
	for _, answers := range []string{
		"220 mail.example\r\n250-mail.example\r\n250 AUTH PLAIN\r\n235 welcome\r\n250 from\r\n250 to\r\n354 go on\r\n250 taken\r\n221 bye\r\n",
		"220 mail.example\r\n250-mail.example\r\n250 AUTH PLAIN\r\n235 welcome\r\n250 from\r\n250 to\r\n354 go on\r\n554 no\r\n",
		"220 mail.example\r\n250-mail.example\r\n250 AUTH PLAIN LOGIN\r\n535-not\r\n535 " + password + "\r\n",
		"220 mail.example\r\n250-mail.example\r\n250 AUTH PLAIN\r\n535 you said " + plain + "\r\n",
		"220 mail.example\r\n250-mail.example\r\n250-STARTTLS\r\n250 SIZE 10\r\n220 go\r\n\x16\x03\x01",
		"220 mail.example\r\n502 what\r\n250 mail.example\r\n", "220 mail.example\r\n250 mail.example\r\n", "421 \xff\x00\x1b[31m too busy\r\n", "554-\r\n", "2", "",
	} {
		f.Add([]byte(answers))
	}
	m, err := NewMail(MailConfig{Server: "localhost:25", From: "sluice@acme.example", User: user, Password: password})
	if err != nil {
		f.Fatal(err)
	}
	message := m.message("jane@acme.example", &Notice{ID: "1", Type: "stream.held", Time: time.Unix(0, 0)})
	f.Fuzz(func(t *testing.T, answers []byte) {
		here, there := net.Pipe()
		_, _ = here.Close(), there.Close() // their deadlines alone are used
		c := &script{Conn: remote{here, "127.0.0.1:25"}, answers: bytes.NewReader(answers)}
		err := m.talk(c, "jane@acme.example", message)
		got := c.got.Bytes()
		if err == nil {
			if !bytes.Contains(got, append(bytes.TrimSuffix(message, []byte("\r\n")), "\r\n.\r\n"...)) {
				t.Errorf("answers %q: sent, and the server got %q", answers, got)
			}
			return
		}
		words := m.words(err)
		if strings.Contains(words, password) || strings.Contains(words, plain) {
			t.Errorf("answers %q: the password is in %q", answers, words)
		}
		if len(words) > destination.MaxWords || strings.ContainsFunc(words, unicode.IsControl) {
			t.Errorf("answers %q: got %d bytes: %q", answers, len(words), words)
		}
	})
}
