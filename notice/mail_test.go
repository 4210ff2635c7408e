package notice

import (
	"net"
	"net/smtp"
	"strings"
	"testing"
)

// remote is a connection that says where it leads to.
type remote struct {
	net.Conn
	address string
}

func (r remote) RemoteAddr() net.Addr {
	a, err := net.ResolveTCPAddr("tcp", r.address)
	if err != nil {
		panic(err) // it is an address
	}
	return a
}

// A server beyond loopback that offers no STARTTLS gets nothing, unless that is
// allowed.
func TestPlainMailIsRefused(t *testing.T) {
	for _, c := range []struct {
		address string
		allow   bool
		ok      bool
	}{
		{"192.0.2.1:25", false, false}, {"192.0.2.1:25", true, true}, {"127.0.0.1:25", false, true}, {"[::1]:25", false, true}, {"[::ffff:127.0.0.1]:25", false, true},
	} {
		here, there := net.Pipe()
		go func() { // ends with the pipe
			buf := make([]byte, 1024)
			_, _ = there.Write([]byte("220 mail.example\r\n"))
			if _, err := there.Read(buf); err == nil {
				_, _ = there.Write([]byte("250 mail.example\r\n"))
			}
		}()
		client, err := smtp.NewClient(here, "mail.example")
		if err != nil {
			t.Fatal(err)
		}
		m := &Mail{cfg: MailConfig{AllowPlain: c.allow}, host: "mail.example"}
		err = m.secure(client, remote{here, c.address})
		if (err == nil) != c.ok || err != nil && !strings.Contains(err.Error(), "STARTTLS") {
			t.Errorf("%s, allowed %v: got error %v", c.address, c.allow, err)
		}
		here.Close()
		there.Close()
	}
}
