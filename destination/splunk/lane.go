package splunk

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sluicelog/sluice/destination"
)

// lane is what a collector remembers for one partition. It is used by one
// goroutine at a time, as Send is.
//
// Acknowledgement ids are numbers of a channel and live in the memory of one
// indexer: a lane has a channel of its own, and returns the cookies by which a
// load balancer finds the indexer again.
type lane struct {
	mode    Ack
	channel string
	cookies cookies

	demanded bool // the collector asked for a channel
	switched bool // it was given another one and has not accepted anything since
	without  bool // mode auto: it turned out that there are no acknowledgements
	answers  bool // questions about acknowledgements were answered
	checked  bool // mode require: the collector has acknowledgements
}

func newLane(mode Ack) *lane { return &lane{mode: mode, channel: newChannel()} }

// newChannel returns a random GUID (RFC 9562, 5.4).
func newChannel() string {
	var b [16]byte
	rand.Read(b[:]) // never fails, see its documentation
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// waits reports whether acknowledgements are waited for.
func (l *lane) waits() bool { return l.mode != AckOff && !l.without }

// usesChannel reports whether requests name the channel.
func (l *lane) usesChannel() bool { return l.waits() || l.demanded }

// switchChannel takes a new channel, once: it reports false when the collector
// has accepted nothing since the last time.
func (l *lane) switchChannel() bool {
	if l.switched {
		return false
	}
	l.switched, l.demanded = true, true
	l.renew()
	return true
}

// renew leaves the channel with the ids that were not answered.
func (l *lane) renew() { l.channel = newChannel() }

// prepare puts what the lane adds into the header of a request.
func (l *lane) prepare(h http.Header) {
	if !l.usesChannel() {
		return
	}
	h.Set("X-Splunk-Request-Channel", l.channel)
	if v := l.cookies.String(); v != "" {
		h.Set("Cookie", v)
	}
}

// keep has the lane remember what an answer's header asks to. It returns who takes
// out of the answer's words what the request held: a session's cookie may be as
// good as a password.
func (c *Collector) keep(l *lane, h http.Header) *destination.Redactor {
	held := l.cookies.values()
	if l.usesChannel() {
		l.cookies.keep(h, c.now())
	}
	if len(held) == 0 && len(l.cookies) == 0 {
		return c.redact
	}
	held = append(held, l.cookies.values()...)
	return destination.NewRedactor(append(held, c.token())...)
}

// Limits of what a collector can make us remember.
const (
	maxCookies     = 16
	maxCookieBytes = 4096 // of all names and values
)

// cookies are the names and values that a collector set. All requests go to one
// host, and what they are for covers all its paths, so that path and domain do not
// matter.
type cookies []http.Cookie

func (c *cookies) keep(h http.Header, now time.Time) {
	if len(h["Set-Cookie"]) == 0 {
		return
	}
	for _, in := range (&http.Response{Header: h}).Cookies() {
		c.drop(in.Name)
		gone := in.MaxAge < 0 || in.MaxAge == 0 && !in.Expires.IsZero() && !in.Expires.After(now)
		if gone || c.size()+len(in.Name)+len(in.Value) > maxCookieBytes || len(*c) == maxCookies {
			continue
		}
		// Copies, because the rest of the header must not stay in memory with them.
		*c = append(*c, http.Cookie{Name: strings.Clone(in.Name), Value: strings.Clone(in.Value), Quoted: in.Quoted})
	}
}

func (c cookies) size() (n int) {
	for i := range c {
		n += len(c[i].Name) + len(c[i].Value)
	}
	return n
}

func (c cookies) values() (list []string) {
	for i := range c {
		list = append(list, c[i].Value)
	}
	return list
}

func (c *cookies) drop(name string) {
	for i := range *c {
		if (*c)[i].Name == name {
			*c = append((*c)[:i], (*c)[i+1:]...)
			return
		}
	}
}

// String returns the value of the header Cookie.
func (c cookies) String() string {
	list := make([]string, len(c))
	for i := range c {
		list[i] = c[i].String()
	}
	return strings.Join(list, "; ")
}
